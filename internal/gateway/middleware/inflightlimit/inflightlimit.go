// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package inflightlimit bounds how many requests are under way at once: of a route,
// and of each of its clients. A request counts from its arrival to the end of its
// answer, a WebSocket for as long as it is open.
//
// Requests beyond the bound are refused at once and do not wait: those who wait would
// hold the memory that the bound is there to save. ACME challenges do not count.
package inflightlimit

import (
	"encoding/json"
	"net/http"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/client"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/scope"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// Type is inFlightLimit.
var Type = definition.Type{Names: []string{"inFlightLimit"}, Security: true, Scoped: true, Parse: parse}

// Settings is the rule of an inFlightLimit middleware. At least one bound is required.
type Settings struct {
	// MaxRequests is how many requests of the route may be under way in this gateway;
	// 0, the default, is any number.
	MaxRequests int `json:"maxRequests"`
	// MaxPerClient is how many of them may be of one client; 0, the default, is any
	// number.
	MaxPerClient int `json:"maxPerClient"`
	// KeyStrategy says what a client is; its address by default.
	KeyStrategy client.Strategy `json:"keyStrategy"`
}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	switch {
	case s.MaxRequests < 0:
		problems = append(problems, definition.Invalid("maxRequests", "is negative; 0 means any number"))
	case s.MaxPerClient < 0:
		problems = append(problems, definition.Invalid("maxPerClient", "is negative; 0 means any number"))
	case s.MaxRequests == 0 && s.MaxPerClient == 0:
		problems = append(problems, definition.Invalid("maxRequests", "is missing; give maxRequests, maxPerClient or both"))
	}
	problems = append(problems, s.KeyStrategy.Settle("keyStrategy")...)
	if config.HasErrors(problems) {
		return nil, problems
	}
	return rule(s), problems
}

type rule Settings

// stateKey names the counts of one middleware on one route. The bounds are no part of
// it: what is under way counts when they change.
type stateKey struct {
	route, middleware string
	key               client.Strategy
}

// Handler implements definition.Rule.
func (l rule) Handler(b definition.Build, next http.Handler) (http.Handler, error) {
	covered, err := scope.Compile(b.Paths, b.Route.Path)
	if err != nil {
		return nil, err
	}
	key := stateKey{b.Route.Name, b.Name, l.KeyStrategy}
	counts, release, err := pool.Get(b.Pool, key, func() (*counts, error) { return newCounts(), nil })
	if err != nil {
		return nil, err
	}
	b.Track(release)
	return &handler{rule: l, covered: covered, counts: counts, next: next}, nil
}

type handler struct {
	rule

	covered *scope.Scope
	counts  *counts
	next    http.Handler
}

// ServeHTTP implements http.Handler. What has come in goes out again, however the
// request ends.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.covered.Covers(r) || definition.IsChallenge(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	who := h.KeyStrategy.Identify(r)
	if !h.counts.enterClient(who, h.MaxPerClient) {
		refuse(w, r, http.StatusTooManyRequests, "429 Too Many Requests: too many of this client are under way")
		return
	}
	defer h.counts.leaveClient(who)
	if !h.counts.enter(h.MaxRequests) {
		refuse(w, r, http.StatusServiceUnavailable, "503 Service Unavailable: too many requests are under way")
		return
	}
	defer h.counts.leave()
	h.next.ServeHTTP(w, r)
}

// refuse tells the client to come back. When a request ends cannot be known; a second
// is soon, and keeps clients from asking all the time.
func refuse(w http.ResponseWriter, r *http.Request, status int, message string) {
	exchange.Of(r).Reason = "in_flight_limit"
	w.Header().Set("Retry-After", "1")
	reply.Error(w, r, status, message)
}
