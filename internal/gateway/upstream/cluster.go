// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"cmp"
	"errors"
	"math/bits"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
)

// ErrNoEndpoint says that no endpoint of a route can take a request now.
var ErrNoEndpoint = errors.New("no endpoint is available")

// Cluster is the endpoints of one version of a route.
type Cluster struct {
	name      string
	registry  *Registry
	endpoints []*Endpoint
	files     []string
	releases  []func()
	once      sync.Once

	// exclusive are the endpoints that take all requests that they match, by
	// priority. pool are the others.
	exclusive, pool []*Endpoint
	// conditional says that some endpoint of the pool has a match.
	conditional bool
	turn        atomic.Uint64
}

// prepare sorts the endpoints by how they are chosen.
func (c *Cluster) prepare() {
	for _, e := range c.endpoints {
		if e.backend.Exclusive && len(e.conditions) > 0 {
			c.exclusive = append(c.exclusive, e)
			continue
		}
		c.pool = append(c.pool, e)
		c.conditional = c.conditional || len(e.conditions) > 0
	}
	slices.SortStableFunc(c.exclusive, func(a, b *Endpoint) int { return cmp.Compare(b.backend.Priority, a.backend.Priority) })
}

// Pick chooses the endpoint of a request. A lone endpoint takes everything,
// whatever its health, since there is no better one. Else an exclusive endpoint
// that matches wins; and else the requests are shared out among the endpoints that
// match or have no match, by weight, and equally where none of them has one.
func (c *Cluster) Pick(r *http.Request) (*Endpoint, error) {
	if len(c.endpoints) == 1 {
		return c.endpoints[0], nil
	}
	for _, e := range c.exclusive {
		if e.available() && e.matches(r) {
			return e, nil
		}
	}
	var few [8]*Endpoint
	candidates, weighted, total := few[:0], false, 0
	for _, e := range c.pool {
		if c.conditional && !e.matches(r) {
			continue
		}
		weighted = weighted || e.backend.Weight > 0
		if e.available() {
			candidates = append(candidates, e)
			total += e.backend.Weight
		}
	}
	// An endpoint that was given no share stays without one when those that were
	// given all of it are gone: that is how an endpoint is taken out of service.
	if len(candidates) == 0 || weighted && total == 0 {
		return nil, ErrNoEndpoint
	}
	turn := c.turn.Add(1) - 1
	if weighted {
		return candidates[share(turn, total, func(i int) int { return candidates[i].backend.Weight })], nil
	}
	if c.conditional {
		// Taking turns would tie the choice to the order in which requests that
		// match and others arrive.
		return candidates[share(turn, len(candidates), func(int) int { return 1 })], nil
	}
	return candidates[turn%uint64(len(candidates))], nil
}

// ErrDepends says that the endpoint depends on the request.
var ErrDepends = errors.New("the endpoint depends on the request")

// PickAny is Pick for a request that is not known yet; ErrDepends where that does
// not do.
func (c *Cluster) PickAny() (*Endpoint, error) {
	if c.conditional || len(c.exclusive) > 0 {
		return nil, ErrDepends
	}
	return c.Pick(nil)
}

// golden is 2^64 divided by the golden ratio: its multiples spread most evenly
// over the circle, so each endpoint gets its share within few requests, without
// any state but a counter.
const golden = 0x9E3779B97F4A7C15

// share gives the index whose part of the total the turn falls into. The weights
// of all indexes add up to total, which is positive.
func share(turn uint64, total int, weight func(i int) int) int {
	high, _ := bits.Mul64(turn*golden, uint64(total)) //nolint:gosec // weights are not negative
	at := int(high)                                   //nolint:gosec // less than total
	for i := 0; ; i++ {
		if at -= weight(i); at < 0 {
			return i
		}
	}
}

// Release lets go of everything that the Cluster uses, probes before what they
// ask through. It may be repeated.
func (c *Cluster) Release() {
	c.once.Do(func() {
		c.registry.forget(c)
		for _, release := range slices.Backward(c.releases) {
			release()
		}
	})
}

// Files are those whose change makes another Cluster of the same route.
func (c *Cluster) Files() []string { return c.files }
