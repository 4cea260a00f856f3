// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/counter"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/store"
)

// rig is a cache in front of a backend.
type rig struct {
	t       testing.TB
	handler http.Handler
	hits    atomic.Int64
	pool    *pool.Pool
	counter *counter.Set
	store   store.Store

	release []func()
}

func parsed(t testing.TB, text string) *rule {
	t.Helper()
	r, problems := parse([]byte(text))
	if r == nil || config.HasErrors(problems) {
		t.Fatal(problems)
	}
	return r.(*rule) //nolint:forcetypeassert // a test
}

func newRig(t testing.TB, text string, backend http.HandlerFunc) *rig {
	t.Helper()
	return newRigWith(t, text, nil, backend)
}

func newRigWith(t testing.TB, text string, shared store.Store, backend http.HandlerFunc) *rig {
	t.Helper()
	g := &rig{t: t, pool: pool.New(), counter: counter.New(), store: shared}
	g.compile(text, backend)
	return g
}

// compile makes the handler anew, as a reload does, and then lets the old one go.
func (g *rig) compile(text string, backend http.HandlerFunc) {
	g.t.Helper()
	old := g.release
	g.release = nil
	b := definition.Build{
		Name: "m", Paths: []string{"/"}, Route: definition.RouteInfo{Name: "r", Path: "/"}, Pool: g.pool, Counters: g.counter, Store: g.store,
		Track: func(f func()) { g.release = append(g.release, f) },
	}
	h, err := parsed(g.t, text).Handler(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.hits.Add(1)
		backend(w, r)
	}))
	if err != nil {
		g.t.Fatal(err)
	}
	g.handler = h
	for _, f := range old {
		f()
	}
}

// close lets go of all; within a bubble it has to come before its end.
func (g *rig) close() {
	for _, f := range g.release {
		f()
	}
	g.release = nil
}

func (g *rig) memory() *memory { return g.handler.(*handler).memory } //nolint:forcetypeassert // a test

func header(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

// request is one whose exchange is as the entry point makes it.
func request(t testing.TB, method, target string, lines ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, http.NoBody)
	r.ContentLength = 0
	maps.Copy(r.Header, header(lines...))
	x := &exchange.Exchange{ClientIP: netip.MustParseAddr("192.0.2.1"), Scheme: "http", Host: r.Host, Path: r.URL.EscapedPath()}
	return r.WithContext(exchange.With(r.Context(), x))
}

func (g *rig) send(method, target string, lines ...string) *httptest.ResponseRecorder {
	g.t.Helper()
	w := httptest.NewRecorder()
	g.handler.ServeHTTP(w, request(g.t, method, target, lines...))
	return w
}

func (g *rig) get(target string, lines ...string) *httptest.ResponseRecorder {
	g.t.Helper()
	return g.send(http.MethodGet, target, lines...)
}

// want checks what the cache says of itself, and the body.
func want(t testing.TB, w *httptest.ResponseRecorder, status int, cache, body string) {
	t.Helper()
	if w.Code != status || w.Header().Get("X-Cache-Status") != cache || w.Body.String() != body {
		t.Errorf("got %d %s %q, want %d %s %q", w.Code, w.Header().Get("X-Cache-Status"), w.Body, status, cache, body)
	}
}

// inBubble runs a test whose time is its own.
func inBubble(t *testing.T, text string, backend http.HandlerFunc, f func(t *testing.T, g *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, text, backend)
		defer g.close()
		f(t, g)
	})
}

// says is a backend that says the same to everybody.
func says(status int, body string, lines ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		maps.Copy(w.Header(), header(lines...))
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func exchangeOf(r *http.Request) exchange.Exchange { return *exchange.Of(r) }

// exchangeWith gives a context the exchange of a request.
func exchangeWith(ctx context.Context, r *http.Request) context.Context {
	return exchange.With(ctx, exchange.Of(r))
}

// emptyBuild is for a middleware without paths.
func emptyBuild(g *rig) definition.Build {
	return definition.Build{Name: "m", Route: definition.RouteInfo{Name: "r", Path: "/"}, Pool: g.pool, Counters: g.counter, Track: func(func()) {}}
}
