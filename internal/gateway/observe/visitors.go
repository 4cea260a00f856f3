// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"encoding/binary"
	"math"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"
)

// visitors estimates how many different clients there have been lately, in memory
// that does not grow with them: each address has a slot that holds when it was last
// seen. A slot that several share counts once, which is corrected for (linear
// counting); a few hundred are counted exactly but for chance. The zero value has
// none.
type visitors struct {
	// ttl is how long a client is a visitor; 0 is the default.
	ttl   atomic.Int64
	slots atomic.Pointer[[visitorSlots]atomic.Uint32]
	// seeds keep clients from choosing their slots.
	seeds atomic.Pointer[[2]uint64]
}

const (
	visitorSlots = 1 << 16
	defaultTTL   = 5 * time.Minute
	minTTL       = 30 * time.Second
	// tick is the step of the time in a slot, so that a busy client writes rarely.
	tick = 5 * time.Second
)

// setTTL says how long a client is a visitor.
func (v *visitors) setTTL(d time.Duration) {
	if d <= 0 {
		d = defaultTTL
	}
	v.ttl.Store(int64(max(d, minTTL)))
}

func (v *visitors) add(a netip.Addr, now time.Time) {
	if !a.IsValid() {
		return
	}
	seeds := v.seeds.Load()
	if seeds == nil {
		v.seeds.CompareAndSwap(nil, &[2]uint64{rand.Uint64() | 1, rand.Uint64() | 1}) //nolint:gosec // as above
		seeds = v.seeds.Load()
	}
	raw := a.As16()
	high, low := bits.Mul64(binary.LittleEndian.Uint64(raw[:8])^seeds[0], binary.LittleEndian.Uint64(raw[8:])^seeds[1])
	high, low = bits.Mul64(high^low^seeds[1], 0x9E3779B97F4A7C15)
	slot := &lazily(&v.slots)[(high^low)%visitorSlots]
	if at := ticks(now); slot.Load() != at {
		slot.Store(at)
	}
}

func ticks(t time.Time) uint32 { return uint32(t.Unix() / int64(tick/time.Second)) } //nolint:gosec // until 2650

// count estimates the visitors.
func (v *visitors) count(now time.Time) float64 {
	slots := v.slots.Load()
	if slots == nil {
		return 0
	}
	ttl := time.Duration(v.ttl.Load())
	if ttl <= 0 {
		ttl = defaultTTL
	}
	oldest, used := ticks(now.Add(-ttl)), 0
	for i := range slots {
		if at := slots[i].Load(); at != 0 && at >= oldest {
			used++
		}
	}
	used = min(used, visitorSlots-1)
	return math.Round(-visitorSlots * math.Log(1-float64(used)/visitorSlots))
}
