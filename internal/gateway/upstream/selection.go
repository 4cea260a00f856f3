// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"time"
)

// marks has room for as many endpoints as a route of the custom resource may have,
// and more, without an allocation.
type marks [4]uint64

// selection is the endpoints of a pool that one request may go to. It looks at
// health once, so that what is counted is what is chosen from.
type selection struct {
	c      *Cluster
	except *Endpoint
	// marks has a bit for each endpoint of the pool.
	marks []uint64
	// weighted says that some endpoint that the request may go to has a weight;
	// those without one get nothing then.
	weighted bool
	// members counts those that would take the request if they were in service,
	// count those that do, total their weights.
	members, count, total int
}

func (s *selection) has(i int) bool { return s.marks[i>>6]&(1<<(i&63)) != 0 }
func (s *selection) mark(i int)     { s.marks[i>>6] |= 1 << (i & 63) }
func (s *selection) clear(i int)    { s.marks[i>>6] &^= 1 << (i & 63) }

// admit finds the endpoints that match.
func (s *selection) admit(q Request) {
	s.weighted = s.c.weighted
	if !s.c.conditional {
		return
	}
	s.weighted = false
	for i, e := range s.c.pool {
		if !e.matches(q) {
			s.clear(i)
			continue
		}
		s.mark(i)
		s.weighted = s.weighted || e.backend.Weight > 0
	}
}

// serving keeps those that are in service; with all, also those that were taken
// out for failing requests. An endpoint that was given no share stays without one
// when those that were given all of it are gone: that is how an endpoint is taken
// out of service.
func (s *selection) serving(all bool) {
	s.members, s.count, s.total = 0, 0, 0
	var now time.Duration
	if s.c.slowStart > 0 {
		now = time.Since(epoch)
	}
	for i, e := range s.c.pool {
		if s.c.conditional && !s.has(i) {
			continue
		}
		if s.weighted && e.backend.Weight == 0 {
			s.clear(i)
			continue
		}
		s.members++
		if !e.healthy() || e == s.except || !all && e.ejected() {
			s.clear(i)
			continue
		}
		s.mark(i)
		s.count++
		s.total += s.weight(e, now)
	}
}

// weight is the share of an endpoint.
func (s *selection) weight(e *Endpoint, now time.Duration) int {
	w := 1
	if s.weighted {
		w = e.backend.Weight
	}
	if s.c.slowStart > 0 {
		w *= e.warmth(now, s.c.slowStart)
	}
	return w
}

// golden is 2^64 divided by the golden ratio: its multiples spread most evenly
// over the circle, so each endpoint gets its share within few requests, without
// any state but a counter.
const golden = 0x9E3779B97F4A7C15

// inTurn gives each its share.
func (s *selection) inTurn(turn uint64) *Endpoint {
	// Taking turns would tie the choice to the order in which requests that match
	// and others arrive.
	if s.weighted || s.c.conditional || s.c.slowStart > 0 {
		return s.share(turn * golden)
	}
	return s.nth(int(turn % uint64(s.count))) //nolint:gosec // a number of endpoints
}

// nth gives the endpoint that has n selected ones before it.
func (s *selection) nth(n int) *Endpoint {
	for i, e := range s.c.pool {
		if s.has(i) {
			if n == 0 {
				return e
			}
			n--
		}
	}
	return s.last()
}

// share gives the endpoint whose part of all weights a point on the circle falls
// into.
func (s *selection) share(point uint64) *Endpoint {
	high, _ := bits.Mul64(point, uint64(s.total)) //nolint:gosec // weights are not negative
	at := int(high)                               //nolint:gosec // less than the total
	var now time.Duration
	if s.c.slowStart > 0 {
		now = time.Since(epoch)
	}
	for i, e := range s.c.pool {
		if !s.has(i) {
			continue
		}
		if at -= s.weight(e, now); at < 0 {
			return e
		}
	}
	return s.last()
}

func (s *selection) last() *Endpoint {
	for i := len(s.c.pool) - 1; i > 0; i-- {
		if s.has(i) {
			return s.c.pool[i]
		}
	}
	return s.c.pool[0]
}

// leastOfTwo draws two by their weights and takes the one with fewer requests under
// way for its weight. That spares the gateway a look at all of them, and requests a
// rush to whoever was last seen idle.
func (s *selection) leastOfTwo() *Endpoint {
	a := s.share(rand.Uint64()) //nolint:gosec // no secret
	if s.count == 1 {
		return a
	}
	b := s.share(rand.Uint64()) //nolint:gosec // as above
	for tries := 0; b == a && tries < 3; tries++ {
		b = s.share(rand.Uint64()) //nolint:gosec // as above
	}
	wa, wb := int64(1), int64(1)
	if s.weighted {
		wa, wb = int64(a.backend.Weight), int64(b.backend.Weight)
	}
	if b.standing.active.Load()*wa < a.standing.active.Load()*wb {
		return b
	}
	return a
}

// byHash gives the endpoint that ranks highest for a value (rendezvous hashing):
// when one leaves, only its values move, each to the one that is next for it.
func (s *selection) byHash(value uint64) (best *Endpoint) {
	var top uint64
	high := math.Inf(-1)
	for i, e := range s.c.pool {
		if !s.has(i) {
			continue
		}
		h := mix(value ^ e.seed)
		if !s.weighted {
			if best == nil || h > top {
				best, top = e, h
			}
			continue
		}
		// The logarithm gives each endpoint values in proportion to its weight.
		if score := float64(e.backend.Weight) / -math.Log((float64(h>>11)+0.5)/(1<<53)); score > high {
			best, high = e, score
		}
	}
	return best
}

// hashOf is FNV-1a: the same in every replica, so that they agree.
func hashOf(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// mix spreads every bit over all (the finaliser of SplitMix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
