// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package circuitbreaker

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/counter"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

// state is what a breaker does with requests.
type state int32

const (
	// closed serves every request and watches the answers.
	closed state = iota
	// open refuses every request until a time.
	open
	// halfOpen serves a few requests, whose answers decide.
	halfOpen
)

// outcome is what became of a request.
type outcome int

const (
	success outcome = iota
	failure
	// unknown is a request whose client went away before there was an answer.
	unknown
)

// turn is an admitted request: it counts only while the breaker is in the state in
// which it admitted the request.
type turn uint64

// breaker is the state of one circuit breaker. While it is closed, requests take
// no lock.
type breaker struct {
	settings Settings
	route    string
	name     string
	log      *slog.Logger
	isOpen   *counter.Value
	refused  *counter.Value
	release  []func()

	current atomic.Int32  // a state
	number  atomic.Uint64 // of the state, for turns
	window  window
	inRow   atomic.Int64

	mu        sync.Mutex
	until     time.Time // while open
	running   int       // while half open: requests under way
	succeeded int       // while half open
}

func newBreaker(s Settings, b definition.Build) *breaker {
	c := &breaker{settings: s, route: b.Route.Name, name: b.Name, log: b.Logger, window: window{width: s.Window.Std() / slices}}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	var releaseOpen, releaseRefused func()
	c.isOpen, releaseOpen = b.Counters.Get(metricOpen, b.Route.Name, b.Name)
	c.refused, releaseRefused = b.Counters.Get(metricRefused, b.Route.Name, b.Name)
	c.release = []func(){releaseOpen, releaseRefused}
	return c
}

// Close ends the series.
func (c *breaker) Close() {
	for _, release := range c.release {
		release()
	}
}

// admit gives a request its turn, or tells how long to stay away.
func (c *breaker) admit(now time.Time) (turn, time.Duration) {
	t := turn(c.number.Load())
	if state(c.current.Load()) == closed {
		return t, 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if state(c.current.Load()) == open {
		if wait := c.until.Sub(now); wait > 0 {
			c.refused.Add()
			return 0, wait
		}
		c.enter(halfOpen)
	}
	if state(c.current.Load()) == halfOpen {
		if c.running+c.succeeded >= c.settings.Probes {
			c.refused.Add()
			return 0, time.Second
		}
		c.running++
	}
	return turn(c.number.Load()), 0
}

// report tells what became of a request.
func (c *breaker) report(t turn, o outcome, now time.Time) {
	if t != turn(c.number.Load()) {
		return // the state in which it was admitted is over
	}
	if state(c.current.Load()) != closed {
		c.reportProbe(t, o, now)
		return
	}
	switch o {
	case success:
		c.window.add(now, false)
		if c.inRow.Load() != 0 {
			c.inRow.Store(0)
		}
	case failure:
		inRow := c.inRow.Add(1)
		c.window.add(now, true)
		if why := c.tooMany(inRow, now); why != "" {
			c.trip(t, now, why)
		}
	case unknown:
	}
}

// tooMany says why the breaker opens; empty if it does not.
func (c *breaker) tooMany(inRow int64, now time.Time) string {
	if n := int64(c.settings.ConsecutiveFailures); n > 0 && inRow >= n {
		return "failures in a row"
	}
	total, failed := c.window.sum(now)
	if total >= int64(c.settings.MinRequests) && failed*100 >= int64(c.settings.ErrorPercent)*total {
		return "share of failures"
	}
	return ""
}

// reportProbe counts a request that tried the backend.
func (c *breaker) reportProbe(t turn, o outcome, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t != turn(c.number.Load()) || state(c.current.Load()) != halfOpen {
		return
	}
	c.running--
	switch o {
	case failure:
		c.rest(now, "a request that tried the backend failed")
	case success:
		if c.succeeded++; c.succeeded >= c.settings.Probes {
			c.enter(closed)
			c.log.Info("the circuit breaker closes", "route", c.route, "middleware", c.name)
		}
	case unknown:
	}
}

func (c *breaker) trip(t turn, now time.Time, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t == turn(c.number.Load()) {
		c.rest(now, why)
	}
}

// rest opens the breaker. c.mu is held.
func (c *breaker) rest(now time.Time, why string) {
	c.until = now.Add(c.settings.OpenDuration.Std())
	c.enter(open)
	c.log.Warn("the circuit breaker opens", "route", c.route, "middleware", c.name, "reason", why, "duration", c.settings.OpenDuration.Std())
}

// enter changes the state; what was counted before counts no more. c.mu is held.
func (c *breaker) enter(s state) {
	c.running, c.succeeded = 0, 0
	c.inRow.Store(0)
	c.window.reset()
	c.number.Add(1)
	c.current.Store(int32(s))
	if s == closed {
		c.isOpen.Set(0)
	} else {
		c.isOpen.Set(1)
	}
}
