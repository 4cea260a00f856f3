// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"context"
	"sync"
)

// flight is one request to the backend that others may wait for.
type flight struct {
	done chan struct{}

	// The rest is guarded by flights.mu until done is closed, and does not change
	// after that.
	waiting int
	over    bool
	landing landing
}

// landing is what those who wait get.
type landing struct {
	// entry is an answer that may be for them too; nil if there is none.
	entry *entry
	// failed says that the backend was asked for news of the entry, and failed.
	failed bool
	// again says that the request failed in a way that says nothing of the next.
	again bool
}

// flightKey is what requests must share to wait for the same answer.
type flightKey struct {
	key
	variant  string
	personal bool
}

// flights are those under way of one middleware.
type flights struct {
	mu sync.Mutex
	m  map[flightKey]*flight
	// under are all requests to the backend whose answers might be stored.
	under map[key]map[*fetch]struct{}
}

func newFlights() *flights {
	return &flights{m: map[flightKey]*flight{}, under: map[key]map[*fetch]struct{}{}}
}

// join gives the flight for a key, and whether it is the caller's to fly.
func (s *flights) join(k flightKey) (f *flight, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.m[k]; f != nil {
		f.waiting++
		return f, false
	}
	f = &flight{done: make(chan struct{})}
	k.key = k.own()
	s.m[k] = f
	return f, true
}

// land ends a flight; those who wait get what it brought. Only the first counts.
func (s *flights) land(k flightKey, f *flight, l landing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.over {
		return
	}
	f.over, f.landing = true, l
	if s.m[k] == f {
		delete(s.m, k)
	}
	close(f.done)
}

// abandon ends a flight for which nobody waits; it is false if somebody does.
func (s *flights) abandon(k flightKey, f *flight) bool {
	s.mu.Lock()
	alone := f.waiting == 0
	s.mu.Unlock()
	if alone {
		s.land(k, f, landing{again: true})
	}
	return alone
}

// wait waits for the landing; it is false if the one who waits goes away.
func (s *flights) wait(ctx context.Context, f *flight) (landing, bool) {
	select {
	case <-f.done:
		return f.landing, true
	case <-ctx.Done():
	}
	s.leave(f)
	return landing{}, false
}

// leave is for one who has joined a flight and does not wait for it.
func (s *flights) leave(f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !f.over {
		f.waiting--
	}
}

// begin notes a request to the backend, until its end.
func (s *flights) begin(f *fetch) {
	k := f.q.key.plain()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.under[k] == nil {
		s.under[k.own()] = map[*fetch]struct{}{}
	}
	s.under[k][f] = struct{}{}
}

func (s *flights) end(f *fetch) {
	k := f.q.key.plain()
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.under[k], f); len(s.under[k]) == 0 {
		delete(s.under, k)
	}
}

// overtake is for a key that has changed: what is on its way is of before, so that
// it is not to be stored, and nobody is to join it.
func (s *flights) overtake(k key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := range s.under[k.plain()] {
		f.overtaken.Store(true)
		if f.flight != nil && s.m[f.key] == f.flight {
			delete(s.m, f.key)
		}
	}
}
