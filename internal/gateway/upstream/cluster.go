// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"errors"
	"math/bits"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"gateway.jkaninda.dev/goma/internal/config"
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
	weighted    bool
	turn        atomic.Uint64
}

// prepare sorts the endpoints by how they are chosen.
func (c *Cluster) prepare() *config.Problem {
	for _, e := range c.endpoints {
		if err := e.compile(); err != nil {
			return &config.Problem{Field: "backends", Reason: config.ReasonInvalid, Message: err.Error()}
		}
		c.weighted = c.weighted || e.backend.Weight > 0
		if e.backend.Exclusive && len(e.conditions) > 0 {
			c.exclusive = append(c.exclusive, e)
			continue
		}
		c.pool = append(c.pool, e)
		c.conditional = c.conditional || len(e.conditions) > 0
	}
	slices.SortStableFunc(c.exclusive, func(a, b *Endpoint) int { return b.backend.Priority - a.backend.Priority })
	return nil
}

// Pick chooses the endpoint of a request. An exclusive endpoint that matches wins;
// else the requests are shared out among those that have no match or match, by
// weight, and equally where none has one. A lone endpoint is chosen whatever its
// health, since there is no better one.
func (c *Cluster) Pick(r *http.Request) (*Endpoint, error) {
	if len(c.endpoints) == 1 && len(c.endpoints[0].conditions) == 0 {
		return c.endpoints[0], nil
	}
	for _, e := range c.exclusive {
		if e.available() && e.matches(r) {
			return e, nil
		}
	}
	var few [8]*Endpoint
	candidates := few[:0]
	weight := 0
	for _, e := range c.pool {
		if e.available() && (!c.conditional || e.matches(r)) {
			candidates = append(candidates, e)
			weight += e.backend.Weight
		}
	}
	if len(candidates) == 0 {
		return nil, ErrNoEndpoint
	}
	turn := c.turn.Add(1) - 1
	if weight == 0 {
		return candidates[turn%uint64(len(candidates))], nil
	}
	return share(candidates, turn, weight), nil
}

// golden is 2^64 divided by the golden ratio: its multiples spread most evenly
// over the circle, so each endpoint gets its share within few requests, without
// any state but a counter.
const golden = 0x9E3779B97F4A7C15

// share picks by weight.
func share(candidates []*Endpoint, turn uint64, weight int) *Endpoint {
	at, _ := bits.Mul64(turn*golden, uint64(weight)) //nolint:gosec // weights are not negative
	for _, e := range candidates {
		if w := uint64(e.backend.Weight); at < w { //nolint:gosec // as above
			return e
		} else {
			at -= w
		}
	}
	return candidates[len(candidates)-1]
}

// Release lets go of everything that the Cluster uses. It may be repeated.
func (c *Cluster) Release() {
	c.once.Do(func() {
		c.registry.forget(c)
		for _, release := range c.releases {
			release()
		}
	})
}

// Files are those whose change makes another Cluster of the same route.
func (c *Cluster) Files() []string { return c.files }
