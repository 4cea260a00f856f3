// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"net/http"
	"sync/atomic"

	"gateway.jkaninda.dev/goma/internal/gateway/downstream"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
	"gateway.jkaninda.dev/goma/internal/gateway/route"
)

// Live serves the newest Snapshot. The zero value serves nothing. Until Complete,
// a request that finds no route is answered 503 and not 404, since its route may
// not have arrived yet.
type Live struct {
	current  atomic.Pointer[Snapshot]
	complete atomic.Bool
}

var _ http.Handler = (*Live)(nil)

// Current gives the newest Snapshot; nil before the first Swap.
func (l *Live) Current() *Snapshot { return l.current.Load() }

// Complete says that every source has delivered.
func (l *Live) Complete() { l.complete.Store(true) }

// Swap publishes the next Snapshot, which was compiled from the current one, and
// retires what it does not use. It is called by one goroutine at a time.
func (l *Live) Swap(next *Snapshot) {
	l.current.Store(next)
	for _, c := range next.leaving {
		c.life.retire()
	}
	// What was is not kept in memory by what is.
	next.entering, next.leaving = nil, nil
}

// Close retires everything. Requests that run end as they would have; new ones
// find no route.
func (l *Live) Close() {
	last := l.current.Swap(nil)
	if last == nil {
		return
	}
	for _, u := range last.units {
		u.chain.life.retire()
	}
	for _, c := range last.endpoints {
		c.life.retire()
	}
}

// ServeHTTP routes a request that came through an entry point.
func (l *Live) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange.Of(r)
	for {
		s := l.current.Load()
		if s == nil {
			l.notFound(w, r, x)
			return
		}
		m := s.find(r, x)
		if m.Entry == nil {
			l.notFound(w, r, x)
			return
		}
		c := m.Entry.Handler.(*chain)
		if !c.life.enter() {
			// Retired since we looked; there is a newer Snapshot.
			continue
		}
		x.Route, x.Allow = m.Entry.Name, m.Allow
		c.serve(w, r, x)
		return
	}
}

// serve is apart from the loop, as serveDirect is.
func (c *chain) serve(w http.ResponseWriter, r *http.Request, x *exchange.Exchange) {
	defer c.life.leave()
	if c.meter != nil {
		x.Meter = c.meter
	}
	c.handler.ServeHTTP(w, r)
}

// Direct serves a request from the client's own connection, where nothing stands
// between it and the backend. It is false for every other request, of which nothing
// has been decided then; an answer in place of the backend's is left to the handler
// that it gives.
func (l *Live) Direct(s *downstream.Stream, query string, asked bool) (served bool, other http.Handler) {
	method := s.Method()
	if method == http.MethodOptions {
		return false, nil // it may be a preflight
	}
	x := s.Exchange()
	for {
		now := l.current.Load()
		if now == nil {
			return false, nil
		}
		m := now.table.Find(method, now.lookupHost(x), x.Path)
		if m.Entry == nil || m.Allow != "" {
			return false, nil
		}
		c := m.Entry.Handler.(*chain)
		if c.direct == nil {
			return false, nil
		}
		if c.life.enter() {
			return c.serveDirect(s, m.Entry, query, asked)
		}
	}
}

// serveDirect is apart from the loop, in which defer would cost an allocation.
func (c *chain) serveDirect(s *downstream.Stream, e *route.Entry, query string, asked bool) (served bool, other http.Handler) {
	defer c.life.leave()
	x := s.Exchange()
	x.Route = e.Name
	if c.meter != nil {
		x.Meter = c.meter
	}
	return c.direct(s, query, asked)
}

func (l *Live) notFound(w http.ResponseWriter, r *http.Request, x *exchange.Exchange) {
	if !l.complete.Load() {
		x.Reason = "starting"
		w.Header().Set("Retry-After", "1")
		reply.Error(w, r, http.StatusServiceUnavailable, "503 the gateway is starting")
		return
	}
	x.Reason = "no_route"
	reply.Error(w, r, http.StatusNotFound, "404 page not found")
}

// Find gives the route that would serve a request.
func (l *Live) Find(r *http.Request) route.Match {
	s := l.current.Load()
	if s == nil {
		return route.Match{}
	}
	return s.find(r, exchange.Of(r))
}

// Endpoint serves one of the built-in endpoints with the middlewares that guard it.
func (l *Live) Endpoint(which Endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for {
			s := l.current.Load()
			if s == nil {
				unavailable("the configuration has not been applied yet").ServeHTTP(w, r)
				return
			}
			c := s.endpoints[which]
			if !c.life.enter() {
				continue
			}
			defer c.life.leave()
			c.handler.ServeHTTP(w, r)
			return
		}
	})
}
