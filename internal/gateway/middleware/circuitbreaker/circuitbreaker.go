// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package circuitbreaker spares a backend that fails: after too many failures its
// route answers 503 at once for a while, then lets a few requests try, and serves
// again when they succeed.
//
// There is one breaker per route and middleware. It outlives reloads that do not
// change the rule. What stands before it in the route's list is not judged, what
// stands after it is: put it last.
package circuitbreaker

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/counter"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// Type is circuitBreaker.
var Type = definition.Type{Names: []string{"circuitBreaker"}, Security: true, Parse: parse}

// Settings is the rule of a circuitBreaker middleware. It is comparable.
type Settings struct {
	// Window is how far back failures count; 10s by default, at least 1s.
	Window config.Duration `json:"window"`
	// MinRequests is how many answers the window must hold before their share of
	// failures says anything; 20 by default.
	MinRequests int `json:"minRequests"`
	// ErrorPercent is the share of failures in the window that opens the breaker;
	// 50 by default.
	ErrorPercent int `json:"errorPercent"`
	// ConsecutiveFailures in a row open the breaker too; 0, the default, is never.
	ConsecutiveFailures int `json:"consecutiveFailures"`
	// SlowAfter makes an answer whose head takes longer a failure; 0, the default,
	// is never.
	SlowAfter config.Duration `json:"slowAfter"`
	// OpenDuration is how long the backend is spared before requests try it again;
	// 10s by default.
	OpenDuration config.Duration `json:"openDuration"`
	// Probes is how many requests try it then, and must succeed; 3 by default.
	Probes int `json:"probes"`
	// FailureStatuses are the first and the last status that count as a failure;
	// 500-599 by default.
	FailureStatuses string `json:"failureStatuses"`
	// Message is the text of the refusal.
	Message string `json:"message"`
}

// The defaults.
const (
	defaultWindow   = 10 * time.Second
	defaultOpen     = 10 * time.Second
	defaultMinimum  = 20
	defaultPercent  = 50
	defaultProbes   = 3
	defaultStatuses = "500-599"
	defaultMessage  = "503 Service Unavailable: the backend is given time to recover"
)

// The bounds of durations: what is longer is a mistake.
const (
	shortest = time.Second
	longest  = 24 * time.Hour
)

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	s := Settings{
		Window: config.Duration(defaultWindow), OpenDuration: config.Duration(defaultOpen), MinRequests: defaultMinimum,
		ErrorPercent: defaultPercent, Probes: defaultProbes, FailureStatuses: defaultStatuses, Message: defaultMessage,
	}
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	invalid := func(wrong bool, field, format string, args ...any) {
		if wrong {
			problems = append(problems, definition.Invalid(field, format, args...))
		}
	}
	outside := func(d config.Duration) bool { return d.Std() < shortest || d.Std() > longest }
	invalid(outside(s.Window), "window", "must be %v to %v", shortest, longest)
	invalid(outside(s.OpenDuration), "openDuration", "must be %v to %v", shortest, longest)
	invalid(s.SlowAfter < 0, "slowAfter", "is negative; 0 means never")
	invalid(s.MinRequests < 1, "minRequests", "must be at least 1")
	invalid(s.ErrorPercent < 1 || s.ErrorPercent > 100, "errorPercent", "must be 1 to 100")
	invalid(s.ConsecutiveFailures < 0, "consecutiveFailures", "is negative; 0 means never")
	invalid(s.Probes < 1, "probes", "must be at least 1")
	first, last, err := statuses(s.FailureStatuses)
	invalid(err != nil, "failureStatuses", "%v", err)
	if config.HasErrors(problems) {
		return nil, problems
	}
	return &rule{settings: s, first: first, last: last}, problems
}

// statuses reads a status, or two with a dash between.
func statuses(text string) (first, last int, err error) {
	if n, _ := fmt.Sscanf(text+" ", "%3d-%3d ", &first, &last); n == 1 {
		last = first
	}
	if text != fmt.Sprintf("%d-%d", first, last) && text != strconv.Itoa(first) || first < 400 || last > 599 || last < first {
		return 0, 0, fmt.Errorf("%q is no range of statuses; write it like 500-599, within 400 to 599", text)
	}
	return first, last, nil
}

type rule struct {
	settings    Settings
	first, last int
}

// stateKey names the breaker of one middleware on one route.
type stateKey struct {
	route, middleware string
	settings          Settings
}

// Handler implements definition.Rule.
func (c *rule) Handler(b definition.Build, next http.Handler) (http.Handler, error) {
	key := stateKey{b.Route.Name, b.Name, c.settings}
	breaker, release, err := pool.Get(b.Pool, key, func() (*breaker, error) {
		return newBreaker(c.settings, b), nil
	})
	if err != nil {
		return nil, err
	}
	b.Track(release)
	return &handler{rule: c, breaker: breaker, next: next}, nil
}

type handler struct {
	*rule

	breaker *breaker
	next    http.Handler
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	turn, wait := h.breaker.admit(time.Now())
	if wait > 0 {
		exchange.Of(r).Reason = "circuit_open"
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		reply.Error(w, r, http.StatusServiceUnavailable, h.settings.Message)
		return
	}
	o := &observer{ResponseWriter: w, h: h, turn: turn, began: time.Now()}
	finished := false
	defer func() {
		// A panic breaks the answer off. It goes on to who handles it.
		o.end(r, finished)
	}()
	h.next.ServeHTTP(o, r)
	finished = true
}

// fails tells whether an answer counts as a failure.
func (h *handler) fails(status int, took time.Duration) bool {
	slow := h.settings.SlowAfter.Std()
	return status >= h.first && status <= h.last || slow > 0 && took > slow
}

var (
	metricOpen = &counter.Kind{
		Name: "gateway_circuit_breaker_open", Labels: []string{"name", "middleware"}, Gauge: true,
		Help: "1 while a circuit breaker refuses requests, 0 while it serves. One series for each circuit breaker of a route.",
	}
	metricRefused = &counter.Kind{
		Name: "gateway_circuit_breaker_refused_total", Labels: []string{"name", "middleware"},
		Help: "Requests that a circuit breaker refused. One series for each circuit breaker of a route.",
	}
)
