// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"math"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"gateway.jkaninda.dev/goma/internal/gateway/counter"
)

// resource is what is known of a key. It does not change.
type resource struct {
	// variants are its answers, the newest first.
	variants []*entry
	// passing are until when an answer is not to be waited for, since the one before
	// was for its client alone: for anybody, and for who has told who he is.
	passing [2]time.Time
	// weight is what it takes of the memory.
	weight uint32
	// until is when nothing of it is of use any more.
	until time.Time
}

const (
	// mostVariants are kept of one key; of more the oldest go.
	mostVariants = 64
	// passFor is how long a key is remembered for having no answer to wait for.
	passFor = 10 * time.Second
	// perResource is what a key costs beside its texts.
	perResource = 512
)

// memory is the answers of a middleware in this process. Its size is bounded in
// bytes; what is least likely to be asked for again goes first. M25
type memory struct {
	rule  *rule
	limit int64
	// cache is nil where nothing is to be kept.
	cache   *otter.Cache[key, *resource]
	bytes   *counter.Value
	evicted *counter.Value
	// recording is what answers take that are on their way.
	recording atomic.Int64
	release   []func()
}

func newMemory(c *rule, set *counter.Set, middleware string) (*memory, error) {
	m := &memory{rule: c, limit: c.memoryBytes}
	get := func(k *counter.Kind) *counter.Value {
		v, release := set.Get(k, middleware)
		m.release = append(m.release, release)
		return v
	}
	m.bytes, m.evicted = get(metricBytes), get(metricEvicted)
	if c.memoryBytes == 0 {
		return m, nil
	}
	var err error
	m.cache, err = otter.New(&otter.Options[key, *resource]{
		MaximumWeight: uint64(c.memoryBytes), //nolint:gosec // sizes are not negative
		Weigher:       func(_ key, r *resource) uint32 { return r.weight },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[key, *resource]) time.Duration {
			return max(time.Until(e.Value.until), time.Millisecond)
		}),
		OnAtomicDeletion: m.gone,
		// Who writes makes room, so that the limit holds when he is done.
		Executor: func(f func()) { f() },
	})
	return m, err
}

func (m *memory) gone(e otter.DeletionEvent[key, *resource]) {
	m.bytes.AddN(-int64(e.Value.weight))
	if e.Cause == otter.CauseOverflow {
		m.evicted.Add()
	}
}

// Close lets go of all. pool calls it once nobody has the memory any more.
func (m *memory) Close() {
	if m.cache != nil {
		m.cache.StopAllGoroutines()
		m.cache.InvalidateAll()
	}
	for _, release := range m.release {
		release()
	}
}

// find gives what is known of a key; never nil.
func (m *memory) find(k key) *resource {
	if m.cache != nil {
		if r, ok := m.cache.GetIfPresent(k); ok {
			return r
		}
	}
	return &nothing
}

var nothing resource

// choose gives the entry that answers a request with the header, or nil.
func (r *resource) choose(h http.Header) *entry {
	for _, e := range r.variants {
		if e.matches(h) {
			return e
		}
	}
	return nil
}

// vary are the names by which the newest entry was chosen.
func (r *resource) vary() []string {
	if len(r.variants) == 0 {
		return nil
	}
	return r.variants[0].vary
}

// put stores an entry. One that is larger than the whole memory is not stored.
func (m *memory) put(k key, e *entry) {
	if m.cache == nil || e.size()+perResource+k.size() > min(m.limit, math.MaxUint32) {
		return
	}
	k = k.own()
	m.change(k, func(old *resource) *resource { return merged(old, e, time.Now(), m.rule) })
}

// merged gives a resource with one more answer, in the place of the one that it replaces.
func merged(old *resource, e *entry, now time.Time, c *rule) *resource {
	next := &resource{variants: make([]*entry, 1, len(old.variants)+1)}
	next.variants[0] = e
	for _, other := range old.variants {
		same := other.variant == e.variant && slices.Equal(other.vary, e.vary)
		if !same && !other.expired(now, c) && len(next.variants) < mostVariants {
			next.variants = append(next.variants, other)
		}
	}
	return next
}

// pass remembers that an answer is not to be waited for.
func (m *memory) pass(k key, personal bool) {
	if m.cache == nil {
		return
	}
	k = k.own()
	m.change(k, func(old *resource) *resource {
		next := &resource{variants: old.variants, passing: old.passing}
		next.passing[index(personal)] = time.Now().Add(passFor)
		return next
	})
}

func index(personal bool) int {
	if personal {
		return 1
	}
	return 0
}

func (r *resource) passes(personal bool, now time.Time) bool {
	return now.Before(r.passing[index(personal)])
}

// change replaces what is known of a key. If it would be larger than the memory, its
// older answers go.
func (m *memory) change(k key, edit func(old *resource) *resource) {
	m.cache.Compute(k, func(old *resource, found bool) (*resource, otter.ComputeOp) {
		if !found {
			old = &nothing
		}
		next := edit(old)
		for !m.weigh(k, next) {
			if len(next.variants) == 0 {
				return old, otter.CancelOp
			}
			next.variants = next.variants[:len(next.variants)-1]
		}
		m.bytes.AddN(int64(next.weight))
		return next, otter.WriteOp
	})
}

// weigh is false if the resource is larger than the memory.
func (m *memory) weigh(k key, r *resource) bool {
	n := perResource + k.size() + sizeOf(r)
	r.until = endOf(r, m.rule)
	if n > min(m.limit, math.MaxUint32) {
		return false
	}
	r.weight = uint32(n) //nolint:gosec // as checked
	return true
}

// drop forgets a key.
func (m *memory) drop(k key) {
	if m.cache != nil {
		m.cache.Invalidate(k)
	}
}

// reserve takes memory for an answer on its way; it is false if there is none left.
func (m *memory) reserve(n int64) bool {
	if m.recording.Add(n) > max(m.limit, m.rule.maxBody) {
		m.recording.Add(-n)
		return false
	}
	return true
}

func (m *memory) unreserve(n int64) { m.recording.Add(-n) }

// sizeOf is what the answers of a resource take.
func sizeOf(r *resource) (n int64) {
	for _, e := range r.variants {
		n += e.size()
	}
	return n
}

// endOf is when nothing of a resource is of use any more.
func endOf(r *resource, c *rule) time.Time {
	last := r.passing[0]
	if r.passing[1].After(last) {
		last = r.passing[1]
	}
	for _, e := range r.variants {
		if end := e.received.Add(e.keepFor(c)); end.After(last) {
			last = end
		}
	}
	return last
}
