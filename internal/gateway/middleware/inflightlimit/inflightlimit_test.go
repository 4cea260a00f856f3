// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package inflightlimit

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/client"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

// bench is a limit before a backend that answers when it is told to.
type bench struct {
	http.Handler

	t     *testing.T
	build definition.Build
	// arrived tells of each request at the backend, which then waits for free.
	arrived, free chan struct{}
	under         sync.WaitGroup
}

func newBench(t *testing.T, shared *pool.Pool, rule string, paths ...string) *bench {
	t.Helper()
	b := &bench{t: t, arrived: make(chan struct{}), free: make(chan struct{})}
	b.build = definition.Build{Name: "limit", Route: definition.RouteInfo{Name: "r"}, Pool: shared, Track: t.Cleanup, Paths: paths}
	b.Handler = b.handler(rule)
	return b
}

func (b *bench) handler(rule string) http.Handler {
	b.t.Helper()
	parsed, problems := parse(json.RawMessage(rule))
	if parsed == nil {
		b.t.Fatal(problems)
	}
	h, err := parsed.Handler(b.build, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b.arrived <- struct{}{}
		<-b.free
		if r.URL.Query().Has("die") {
			panic(http.ErrAbortHandler)
		}
	}))
	if err != nil {
		b.t.Fatal(err)
	}
	return h
}

func request(ip, target string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	return r.WithContext(exchange.With(r.Context(), &exchange.Exchange{ClientIP: netip.MustParseAddr(ip), Path: r.URL.Path}))
}

// hold sends a request, and returns when the backend has it.
func (b *bench) hold(h http.Handler, r *http.Request) {
	b.t.Helper()
	ended := make(chan struct{})
	b.under.Go(func() {
		defer close(ended)
		defer func() { _ = recover() }() // the abort of the backend
		h.ServeHTTP(httptest.NewRecorder(), r)
	})
	select {
	case <-b.arrived:
	case <-ended:
		b.t.Fatal("a request does not reach the backend")
	}
}

// end lets n requests go.
func (b *bench) end(n int) {
	for range n {
		b.free <- struct{}{}
	}
}

// refused sends a request that must not reach the backend.
func (b *bench) refused(h http.Handler, r *http.Request, status int) {
	b.t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != status || w.Header().Get("Retry-After") != "1" || w.Body.Len() == 0 {
		b.t.Errorf("%d %v %q, want %d", w.Code, w.Header(), w.Body, status)
	}
}

func TestARouteIsBounded(t *testing.T) { // M4
	t.Parallel()
	b := newBench(t, pool.New(), `{"maxRequests":2}`)
	b.hold(b, request("192.0.2.1", "/"))
	b.hold(b, request("192.0.2.2", "/?die"))
	b.refused(b, request("192.0.2.3", "/"), http.StatusServiceUnavailable)
	b.refused(b, request("192.0.2.1", "/"), http.StatusServiceUnavailable)
	b.end(2) // one of them by a panic
	b.under.Wait()
	b.hold(b, request("192.0.2.3", "/"))
	b.hold(b, request("192.0.2.3", "/"))
	b.refused(b, request("192.0.2.3", "/"), http.StatusServiceUnavailable)
	b.end(2)
	b.under.Wait()
}

func TestAClientIsBounded(t *testing.T) { // M4, M21
	t.Parallel()
	b := newBench(t, pool.New(), `{"maxPerClient":1,"maxRequests":3}`)
	b.hold(b, request("192.0.2.1", "/"))
	b.refused(b, request("192.0.2.1", "/"), http.StatusTooManyRequests)
	b.hold(b, request("2001:db8::1", "/"))
	b.refused(b, request("2001:db8::ffff:1", "/"), http.StatusTooManyRequests) // of one /64
	b.hold(b, request("2001:db8:0:1::1", "/"))
	b.refused(b, request("192.0.2.9", "/"), http.StatusServiceUnavailable)
	b.end(3)
	b.under.Wait()
	// Who was refused for the route has left nothing behind as a client.
	b.hold(b, request("192.0.2.9", "/"))
	b.refused(b, request("192.0.2.9", "/"), http.StatusTooManyRequests)
	b.end(1)
	b.under.Wait()
}

func TestAClientMayBeAValueOfTheRequest(t *testing.T) { // M21
	t.Parallel()
	b := newBench(t, pool.New(), `{"maxPerClient":1,"keyStrategy":{"source":"Header","name":"X-Key"}}`)
	keyed := func(ip, key string) *http.Request {
		r := request(ip, "/")
		r.Header.Set("X-Key", key)
		return r
	}
	b.hold(b, keyed("192.0.2.1", "a"))
	b.refused(b, keyed("192.0.2.2", "a"), http.StatusTooManyRequests)
	b.hold(b, keyed("192.0.2.1", "b"))
	b.hold(b, request("192.0.2.1", "/"))
	b.refused(b, keyed("192.0.2.1", ""), http.StatusTooManyRequests) // without the value the address counts
	b.end(3)
	b.under.Wait()
}

func TestWhatIsUnderWayCountsAfterAReload(t *testing.T) { // D3
	t.Parallel()
	shared := pool.New()
	b := newBench(t, shared, `{"maxRequests":2}`)
	b.hold(b, request("192.0.2.1", "/"))
	b.hold(b, request("192.0.2.1", "/"))
	less := b.handler(`{"maxRequests":1,"maxPerClient":5}`)
	more := b.handler(`{"maxRequests":3}`)
	b.refused(less, request("192.0.2.2", "/"), http.StatusServiceUnavailable)
	b.hold(more, request("192.0.2.2", "/"))
	b.refused(more, request("192.0.2.2", "/"), http.StatusServiceUnavailable)
	b.build.Route.Name = "other"
	b.hold(b.handler(`{"maxRequests":1}`), request("192.0.2.2", "/")) // another route has its own
	b.end(4)
	b.under.Wait()
}

func TestOnlyThePathsCount(t *testing.T) { // M1, A8
	t.Parallel()
	b := newBench(t, pool.New(), `{"maxRequests":1}`, "/slow", "/.well-known")
	b.hold(b, request("192.0.2.1", "/slow/x"))
	b.refused(b, request("192.0.2.1", "/slow"), http.StatusServiceUnavailable)
	b.hold(b, request("192.0.2.1", "/quick"))
	b.hold(b, request("192.0.2.1", "/.well-known/acme-challenge/token"))
	b.end(3)
	b.under.Wait()
}

func TestTheBoundHoldsForManyAtOnce(t *testing.T) { // L1
	t.Parallel()
	c := newCounts()
	var under, worst, clients atomic.Int64
	var done sync.WaitGroup
	who := []client.Key{client.Address(netip.MustParseAddr("192.0.2.1")), client.Address(netip.MustParseAddr("192.0.2.2"))}
	for i := range 64 {
		done.Go(func() {
			for range 2000 {
				if !c.enterClient(who[i%2], 9) {
					continue
				}
				if c.enter(7) {
					n := under.Add(1)
					for w := worst.Load(); n > w && !worst.CompareAndSwap(w, n); w = worst.Load() {
					}
					under.Add(-1)
					clients.Add(1)
					c.leave()
				}
				c.leaveClient(who[i%2])
			}
		})
	}
	done.Wait()
	if worst.Load() > 7 || clients.Load() == 0 || c.total.Load() != 0 {
		t.Errorf("%d at once, %d in all, %d left", worst.Load(), clients.Load(), c.total.Load())
	}
	for i := range c.shards {
		if n := len(c.shards[i].byClient); n != 0 {
			t.Errorf("%d clients are left", n)
		}
	}
}

func TestARuleNeedsABound(t *testing.T) { // C5, C6
	t.Parallel()
	for rule, field := range map[string]string{
		``: "rule.maxRequests", `{}`: "rule.maxRequests", `{"maxRequests":0}`: "rule.maxRequests", `{"maxRequests":-1}`: "rule.maxRequests",
		`{"maxPerClient":-1}`: "rule.maxPerClient", `{"maxRequests":"5"}`: "rule.maxRequests", `{"maxRequests":1.5}`: "rule.maxRequests",
		`{"maxPerClient":1,"keyStrategy":{"source":"sun"}}`:    "rule.keyStrategy.source",
		`{"maxPerClient":1,"keyStrategy":{"source":"header"}}`: "rule.keyStrategy.name",
	} {
		if parsed, problems := parse(json.RawMessage(rule)); parsed != nil || len(problems) != 1 || problems[0].Field != field {
			t.Errorf("%s: rule %v, %v", rule, parsed, problems)
		}
	}
	if parsed, problems := parse(json.RawMessage(`{"maxRequest":1,"maxPerClient":1}`)); parsed == nil || len(problems) != 1 || config.HasErrors(problems) {
		t.Errorf("a key that nobody reads: %v", problems)
	}
}
