// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"cmp"
	"errors"
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
	// conditional says that some endpoint of the pool has a match, weighted that
	// some has a weight.
	conditional, weighted bool
	onlyHTTP1             bool
	turn                  atomic.Uint64

	balancing
	outlierRules outlierRules
	outliers     *outlierLimits // nil without outlier detection
}

// prepare sorts the endpoints by how they are chosen.
func (c *Cluster) prepare() {
	c.onlyHTTP1 = true
	for _, e := range c.endpoints {
		e.cluster = c
		c.onlyHTTP1 = c.onlyHTTP1 && e.SpeaksHTTP1()
		if e.backend.Exclusive && len(e.conditions) > 0 {
			c.exclusive = append(c.exclusive, e)
			continue
		}
		c.pool = append(c.pool, e)
		c.conditional = c.conditional || len(e.conditions) > 0
		c.weighted = c.weighted || e.backend.Weight > 0
		c.sticky.mark(e, c.name)
	}
	slices.SortStableFunc(c.exclusive, func(a, b *Endpoint) int { return cmp.Compare(b.backend.Priority, a.backend.Priority) })
}

// SpeaksHTTP1 tells that all endpoints do.
func (c *Cluster) SpeaksHTTP1() bool { return c.onlyHTTP1 }

// Pick chooses the endpoint of a request. A lone endpoint takes everything,
// whatever its health, since there is no better one. Else an exclusive endpoint
// that matches wins; and else the requests are shared out, by the policy of the
// route, among the endpoints that match or have no match. It takes no lock and
// allocates nothing.
func (c *Cluster) Pick(q Request) (*Endpoint, error) {
	if len(c.endpoints) == 1 {
		return c.endpoints[0], nil
	}
	return c.pick(q, nil)
}

// Instead chooses another endpoint for a request that e has not got a byte of; nil
// when there is none.
func (c *Cluster) Instead(q Request, e *Endpoint) *Endpoint {
	if len(c.endpoints) == 1 {
		return nil
	}
	other, err := c.pick(q, e)
	if err != nil {
		return nil
	}
	return other
}

func (c *Cluster) pick(q Request, except *Endpoint) (*Endpoint, error) {
	for _, e := range c.exclusive {
		if e != except && e.available() && e.matches(q) {
			return e, nil
		}
	}
	var few marks
	s := selection{c: c, except: except, marks: few[:]}
	if len(c.pool) > len(few)*64 {
		s.marks = make([]uint64, len(c.pool)/64+1)
	}
	s.admit(q)
	s.serving(false)
	if c.outliers.panics(s.count, s.members) {
		s.admit(q)
		s.serving(true)
	}
	if e := c.sticky.of(&s, q); e != nil {
		return e, nil
	}
	if s.count == 0 {
		return nil, ErrNoEndpoint
	}
	return c.choose(&s, q), nil
}

// choose chooses among the selected by the policy.
func (c *Cluster) choose(s *selection, q Request) *Endpoint {
	switch c.policy {
	case consistentHash:
		if value := c.hashOn(q); value != "" {
			return s.byHash(hashOf(value))
		}
	case leastRequest:
		return s.leastOfTwo()
	case roundRobin:
	}
	return s.inTurn(c.turn.Add(1) - 1)
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
