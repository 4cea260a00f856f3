// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package retry asks the backend again where it has failed.
//
// It stands directly before the backend, whatever its position in a route's list, so
// that what a request passes on its way counts once. Held back is only the head of an
// answer, until it is known that it will be the client's; bodies of answers stream.
// Bodies of requests are kept while they pass, up to a bound: a request with a
// larger one is sent once. How many requests may be repeated is bounded by a budget,
// so that a backend that fails under its load does not get more of it.
package retry

import (
	"context"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/counter"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/scope"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

// The reasons by which the proxy tells a backend that failed from its other refusals.
const (
	unreachable = "upstream_error"
	timedOut    = "upstream_timeout"
)

// repeats counts by what came of the wish to repeat a request.
var repeats = &counter.Kind{
	Name:   "gateway_retries_total",
	Help:   "Requests that a retry middleware has sent again, and those that its budget has kept it from. Two series for each route that has one.",
	Labels: []string{"name", "result"},
}

type stateKey struct{ route, middleware string }

// Handler implements definition.Rule.
func (e *rule) Handler(b definition.Build, next http.Handler) (http.Handler, error) {
	covered, err := scope.Compile(b.Paths, b.Route.Path)
	if err != nil {
		return nil, err
	}
	if e.attempts <= 1 {
		return next, nil
	}
	budget, release, err := pool.Get(b.Pool, stateKey{b.Route.Name, b.Name}, func() (*budget, error) { return newBudget(), nil })
	if err != nil {
		return nil, err
	}
	b.Track(release)
	h := &handler{rule: e, covered: covered, budget: budget, next: next}
	for result, count := range map[string]**counter.Value{"sent": &h.sent, "budget": &h.refused} {
		value, release := b.Counters.Get(repeats, b.Route.Name, result)
		b.Track(release)
		*count = value
	}
	return h, nil
}

type handler struct {
	*rule

	covered       *scope.Scope
	budget        *budget
	sent, refused *counter.Value
	next          http.Handler
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.covered.Covers(r) || !h.repeatable(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	h.budget.earn(h.percent)
	x := exchange.Of(r)
	a := &run{h: h, w: w, r: r, x: x, reason: x.Reason, began: time.Now()}
	if r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 {
		a.body = &replay{src: r.Body, limit: h.bodyLimit}
	}
	defer func() { x.Avoid = nil }()
	for a.once() {
		x.Flags |= exchange.Retried
		h.sent.Add()
	}
}

// repeatable tells the requests that may be sent again, as far as can be told from
// their heads. An upgrade hands its connection away.
func (h *handler) repeatable(r *http.Request) bool {
	return slices.Contains(h.methods, r.Method) && r.Header.Get("Upgrade") == "" && r.ContentLength <= int64(h.bodyLimit)
}

// run is one request, with all its attempts.
type run struct {
	h *handler
	w http.ResponseWriter
	r *http.Request
	x *exchange.Exchange
	// body is nil for a request without one.
	body   *replay
	reason string
	began  time.Time
	number int
	pause  time.Duration
}

// once makes one attempt. It is true, after a pause, when another one is to follow.
func (a *run) once() bool {
	a.number++
	ctx, cancel := context.WithCancelCause(a.r.Context())
	defer cancel(nil)
	r := a.r.WithContext(ctx)
	if a.body != nil {
		r.Body = a.body.reader()
	}
	out := &writer{ResponseWriter: a.w, run: a, cancel: cancel}
	if len(a.w.Header()) > 0 {
		out.before = maps.Clone(a.w.Header())
	}
	if a.h.perTry > 0 {
		out.timer = time.AfterFunc(a.h.perTry, func() { cancel(context.DeadlineExceeded) })
	}
	out.serve(a.h.next, r)
	if out.state != thrown {
		return false
	}
	out.restore()
	a.x.Reason = a.reason
	a.x.Avoid = append(a.x.Avoid, a.x.Upstream)
	a.wait()
	return true
}

// wait lets the pause pass. Who has gone meanwhile is found out by the next attempt.
func (a *run) wait() {
	if a.pause <= 0 {
		return
	}
	timer := time.NewTimer(a.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.r.Context().Done():
	}
}

// again decides whether an answer is thrown away for another attempt.
func (a *run) again(status int, h http.Header, expired bool) bool {
	if a.number >= a.h.attempts || !a.h.wants(status, a.x.Reason != a.reason, a.x.Reason, expired) || a.r.Context().Err() != nil {
		return false
	}
	a.pause = a.h.pauseAfter(a.number)
	if !a.inTime() || tooSoon(h, a.h.maxBackoff) {
		return false
	}
	affordable := true
	free := a.body.release(func() bool {
		affordable = a.h.budget.spend(time.Now())
		return affordable
	})
	if !affordable {
		a.h.refused.Add()
	}
	return free
}

// inTime tells whether another attempt would begin before the end of all of them.
func (a *run) inTime() bool {
	next := time.Now().Add(a.pause)
	if deadline, ok := a.r.Context().Deadline(); ok && !next.Before(deadline) {
		return false
	}
	return next.Sub(a.began) < a.h.timeout
}

// tooSoon tells an answer that asks for a longer pause than there will be.
func tooSoon(h http.Header, longest time.Duration) bool {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return false
	}
	seconds, err := time.ParseDuration(value + "s")
	return err != nil || seconds > longest
}

// pauseAfter doubles with each attempt, and is anything up to that: clients that
// failed together do not come back together.
func (e *rule) pauseAfter(number int) time.Duration {
	longest := min(e.backoff<<(number-1), e.maxBackoff)
	if longest <= 0 {
		return 0
	}
	return rand.N(longest + 1)
}

// wants tells whether the rule lists what has become of an attempt. What the
// gateway itself answers counts where its reason is the backend's failure.
func (e *rule) wants(status int, ours bool, reason string, expired bool) bool {
	switch {
	case expired, ours && reason == timedOut:
		return e.onTimeout
	case ours:
		return e.onConnection && reason == unreachable
	}
	return e.onStatus[status]
}
