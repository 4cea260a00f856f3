// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Reload is what clients saw of a target while routes were added to it.
type Reload struct {
	// Visible is how long each new route took to answer, Cost the CPU time beside
	// the load, both in milliseconds.
	Visible []float64 `json:"visible_ms"`
	Cost    []float64 `json:"cost_ms"`
	// Before and During are the latencies without and with reloads.
	Before Latency `json:"before"`
	During Latency `json:"during"`
	// Requests were sent in all, of which so many had another status than 200, lost
	// a kept connection in place of an answer, or failed otherwise.
	Requests    int     `json:"requests"`
	WrongStatus int     `json:"wrong_status"`
	Cut         int     `json:"cut"`
	Failed      int     `json:"failed"`
	Resident    float64 `json:"resident_mib"`
}

// Latency is in milliseconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// window is a time in which events count.
type window struct{ from, to time.Time }

func (w window) holds(e event) bool { return e.at.After(w.from) && e.at.Before(w.to) }

const (
	reloadRate    = 2000 // requests per second
	reloadTimeout = time.Minute
	quiet         = 2 * time.Second // without a reload, before and between
)

// reloads keeps a paced load on the routes that are there while others are added
// one by one, once for each round.
func (b *bench) reloads(ctx context.Context, s *Scenario, live []*instance, o *Outcome) error {
	for _, t := range live {
		r, err := b.reload(ctx, s, t)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			o.fail(t.Name, err)
			continue
		}
		o.Reloads[t.Name] = r
	}
	return nil
}

func (b *bench) reload(ctx context.Context, s *Scenario, t *instance) (Reload, error) {
	done := make(chan struct{})
	collected := make(chan []event)
	go func() { collected <- pacedLoad(t, s, done) }()
	r, before, during, err := b.addRoutes(ctx, s, t)
	close(done)
	events := <-collected
	if err != nil {
		return Reload{}, err
	}
	for _, e := range events {
		switch e.kind {
		case wrongStatus:
			r.WrongStatus++
		case cut:
			r.Cut++
		case failed:
			r.Failed++
		}
	}
	r.Requests, r.Resident = len(events), resident(tree(t.process.pid()))
	r.Before, r.During = latencies(events, before), latencies(events, during...)
	return r, nil
}

// pacedLoad asks for the first routes over all connections until done is closed.
func pacedLoad(t *instance, s *Scenario, done <-chan struct{}) (events []event) {
	routes := slices.Clone(t.settings.Routes)
	interval := time.Duration(s.Conns) * time.Second / reloadRate
	var (
		mu      sync.Mutex
		clients sync.WaitGroup
	)
	for i := range s.Conns {
		clients.Go(func() {
			p := &paced{target: t, routes: routes, interval: interval}
			mine := p.run(i, s.Conns, done)
			mu.Lock()
			defer mu.Unlock()
			events = append(events, mine...)
		})
	}
	clients.Wait()
	return events
}

// addRoutes adds one route for each round.
func (b *bench) addRoutes(ctx context.Context, s *Scenario, t *instance) (r Reload, before window, during []window, err error) {
	used := func() float64 { return cpu(tree(t.process.pid())).total() }
	time.Sleep(quiet)
	before.from = time.Now()
	idle := used()
	time.Sleep(quiet)
	before.to = time.Now()
	perSecond := (used() - idle) / before.to.Sub(before.from).Seconds()
	for round := range b.rounds {
		t.settings.Routes = makeRoutes(s.Kind, s.Routes+round+1)
		cost, from := used(), time.Now()
		if err := t.change(ctx); err != nil {
			return r, before, nil, err
		}
		added := t.settings.Routes[len(t.settings.Routes)-1]
		for t.probe(added) != 200 && time.Since(from) < reloadTimeout && ctx.Err() == nil {
			time.Sleep(2 * time.Millisecond)
		}
		r.Visible = append(r.Visible, time.Since(from).Seconds()*1e3)
		time.Sleep(quiet / 2)
		during = append(during, window{from, time.Now()})
		time.Sleep(quiet) // old processes end in this time, and their cost counts
		r.Cost = append(r.Cost, (used()-cost-perSecond*time.Since(from).Seconds())*1e3)
	}
	return r, before, during, nil
}

func latencies(events []event, windows ...window) Latency {
	var took []time.Duration
	for _, e := range events {
		if e.kind == served && slices.ContainsFunc(windows, func(w window) bool { return w.holds(e) }) {
			took = append(took, e.took)
		}
	}
	if len(took) == 0 {
		return Latency{}
	}
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 }
	return Latency{P50: ms(took[len(took)/2]), P99: ms(took[len(took)*99/100]), Max: ms(took[len(took)-1])}
}
