// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"net/http"
	"slices"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/downstream"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
	"gateway.jkaninda.dev/goma/internal/gateway/route"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
)

// chain is the handler of a route with everything it needs.
type chain struct {
	route   *config.Route
	handler http.Handler
	// direct, if set, serves what the handler would, since nothing stands in
	// front of the backend.
	direct func(s *downstream.Stream, query string, asked bool) (served bool, other http.Handler)
	// meter is nil for a route that is not counted.
	meter exchange.Meter
	// clients is what is asked of clients; nil for nothing.
	clients *clientAuth
	life    lifetime

	problems []config.Problem
	// fault says why the route answers 503; empty when it serves.
	fault string
	// invalid says that the route must not be in the table at all.
	invalid bool

	// What the chain was made of, to tell whether it still is what it would be.
	names     []string
	deps      []*step
	certFault string
	files     []dependency
}

// ServeHTTP lets a chain stand in an entry of the route table. Live calls the
// handler itself, inside the chain's lifetime.
func (c *chain) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// dependency is a file as it was when the chain was made.
type dependency struct {
	path     string
	identity source.Identity
}

// fresh tells whether making the chain anew, of the same route, would make the
// same chain.
func (c *chain) fresh(names []string, deps *steps, certFault string, identify func(string) source.Identity) bool {
	if c.certFault != certFault || !slices.Equal(c.names, names) {
		return false
	}
	for i, name := range names {
		if c.deps[i] != deps.get(name) {
			return false
		}
	}
	for _, f := range c.files {
		if f.identity != identify(f.path) {
			return false
		}
	}
	return true
}

// unavailable is the handler of a route that cannot be served as it should be.
// The message names what is missing; it holds nothing secret.
func unavailable(message string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		exchange.Of(r).Reason = "unavailable"
		w.Header().Set("Cache-Control", "no-store")
		reply.Error(w, r, http.StatusServiceUnavailable, message)
	})
}

// checkMethod answers 405 where no route admits the method. It stands inside the
// outer middlewares, so that a preflight is answered before and the headers are
// set on the refusal too.
func checkMethod(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchange.Of(r)
		if x.Allow == "" {
			next.ServeHTTP(w, r)
			return
		}
		x.Reason = "method_not_allowed"
		w.Header().Set("Allow", x.Allow)
		reply.Error(w, r, http.StatusMethodNotAllowed, "405 "+r.Method+" method not allowed")
	})
}

// allowed gives the Allow header of one route.
func allowed(e *route.Entry) string {
	methods := slices.Clone(e.Methods())
	if slices.Contains(methods, http.MethodGet) && !slices.Contains(methods, http.MethodHead) {
		methods = append(methods, http.MethodHead)
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

const maintenanceMessage = "503 Service temporarily unavailable"

// maintenance answers in place of the backend.
func maintenance(m *config.Maintenance) http.Handler {
	status, message := m.StatusCode, m.Message
	if status < 200 || status > 599 {
		status = http.StatusServiceUnavailable
	}
	if message == "" {
		message = maintenanceMessage
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		exchange.Of(r).Reason = "maintenance"
		reply.Body(w, r, status, message)
	})
}
