// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

func TestAnUnchangedRouteKeepsItsChainAndAChangedOneIsReleased(t *testing.T) { // D3, U1
	t.Parallel()
	b := newBench(t)
	first := b.apply(cfg(newRoute("a", "/a"), newRoute("b", "/b")))
	// Equal objects that were read again, in another order, from another place.
	again := []*config.Route{newRoute("b", "/b"), newRoute("a", "/a")}
	again[1].Meta = config.Meta{Ref: config.ObjectRef{Kind: "Route", Name: "a", Source: "file"}, Created: time.Unix(1, 0)}
	second := b.apply(cfg(again...))
	if first.units[0].chain != second.units[1].chain || first.units[1].chain != second.units[0].chain {
		t.Error("an equal route was compiled again")
	}
	changed := newRoute("a", "/a")
	changed.Rewrite = "/v2"
	third := b.apply(cfg(newRoute("b", "/b"), changed))
	if third.units[1].chain == second.units[1].chain || third.units[0].chain != second.units[0].chain {
		t.Error("the wrong route was compiled")
	}
	if built, released := b.count("a"); built != 2 || released != 1 {
		t.Errorf("a: %d built, %d released", built, released)
	}
	b.apply(cfg(changed))
	if built, released := b.count("b"); built != 1 || released != 1 {
		t.Errorf("b: %d built, %d released", built, released)
	}
	if b.apply(cfg(changed)).Changed() {
		t.Error("the same configuration counts as a change")
	}
}

func TestAChangedMiddlewareBuildsOnlyItsRoutes(t *testing.T) { // D3
	t.Parallel()
	b := newBench(t)
	c := cfg(newRoute("a", "/a", "x"), newRoute("b", "/b", "y"))
	c.Middlewares = []*config.Middleware{
		newMiddleware("x", "requestHeaders", `{"setHeaders":{"X-A":"1"}}`), newMiddleware("y", "requestHeaders", `{"setHeaders":{"X-A":"1"}}`),
	}
	b.apply(c)
	c2 := *c
	c2.Middlewares = []*config.Middleware{newMiddleware("x", "requestHeaders", `{"setHeaders":{"X-A":"2"}}`), c.Middlewares[1]}
	b.apply(&c2)
	a, _ := b.count("a")
	if n, _ := b.count("b"); a != 2 || n != 1 {
		t.Errorf("a was built %d times, b %d times", a, n)
	}
}

func TestAFileThatAppearsOrChangesBuildsItsRouteAgain(t *testing.T) { // K3, U5
	t.Parallel()
	b := newBench(t)
	ca := filepath.Join(t.TempDir(), "ca.crt")
	r := newRoute("a", "/a")
	r.Security = &config.RouteSecurity{TLS: &config.BackendTLS{RootCAs: ca}}
	b.backend["a"] = func(*config.Route) (Backend, []config.Problem) {
		data, err := os.ReadFile(ca)
		if err != nil {
			return Backend{}, []config.Problem{{Reason: config.ReasonSecretNotFound, Message: "no file"}}
		}
		return Backend{Handler: say(string(data))}, nil
	}
	c := cfg(r, newRoute("b", "/b"))
	s := b.apply(c)
	if !slices.Contains(s.Files(), ca) {
		t.Fatalf("files %v", s.Files())
	}
	b.expect("GET", "http://h/a", 503, "no file")
	for _, text := range []string{"one", "three"} {
		if err := os.WriteFile(ca, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b.apply(c)
		b.expect("GET", "http://h/a", 200, text)
	}
	if built, _ := b.count("b"); built != 1 {
		t.Errorf("b was built %d times", built)
	}
}

func TestARequestEndsOnTheChainItStartedWith(t *testing.T) { // D2
	t.Parallel()
	b := newBench(t)
	entered, finish := make(chan struct{}), make(chan struct{})
	released := make(chan struct{})
	b.backend["a"] = func(r *config.Route) (Backend, []config.Problem) {
		if r.Rewrite != "" {
			return Backend{Handler: say("new")}, nil
		}
		return Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(entered)
			<-finish
			select {
			case <-released:
				t.Error("released under a request")
			default:
			}
			_, _ = w.Write([]byte("old"))
		}), Release: func() { close(released) }}, nil
	}
	b.apply(cfg(newRoute("a", "/a")))
	var slow sync.WaitGroup
	slow.Go(func() { b.expect("GET", "http://h/a", 200, "old") })
	<-entered
	next := newRoute("a", "/a")
	next.Rewrite = "/x"
	b.apply(cfg(next)) // does not wait for the slow request
	b.expect("GET", "http://h/a", 200, "new")
	close(finish)
	slow.Wait()
	<-released
}

func TestReloadsUnderLoadGiveNoWrongAnswer(t *testing.T) { // D1, L1
	t.Parallel()
	b := newBench(t)
	var closed sync.Map
	var serial atomic.Int64
	b.backend["a"] = func(*config.Route) (Backend, []config.Problem) {
		id := serial.Add(1)
		return Backend{
			Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if _, gone := closed.Load(id); gone {
					t.Error("served by a backend that was released")
				}
				_, _ = w.Write([]byte("a"))
			}),
			Release: func() { closed.Store(id, true) },
		}, nil
	}
	b.apply(cfg(newRoute("a", "/a")))
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					b.expect("GET", "http://h/a", 200, "a")
				}
			}
		})
	}
	for i := range 1000 {
		r := newRoute("a", "/a")
		r.Rewrite = fmt.Sprint("/", i)
		extra := newRoute("extra", "/extra/"+fmt.Sprint(i))
		if i%3 == 0 {
			extra.Path = "/{broken"
		}
		b.apply(cfg(r, extra))
	}
	close(stop)
	clients.Wait()
	if n, live := serial.Load(), 0; n < 1000 {
		t.Errorf("%d backends", n)
	} else {
		closed.Range(func(any, any) bool { live++; return true })
		if int64(live) != n-1 {
			t.Errorf("%d of %d backends were released", live, n)
		}
	}
}

func TestADiscardedSnapshotReleasesWhatItMade(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.apply(cfg(newRoute("a", "/a")))
	next, _ := b.compiler.Compile(first, cfg(newRoute("a", "/a"), newRoute("b", "/b")))
	next.Discard()
	if built, released := b.count("b"); built != 1 || released != 1 {
		t.Errorf("b: %d built, %d released", built, released)
	}
	b.expect("GET", "http://h/a", 200, "a")
}

func BenchmarkAddOneRouteTo10000(b *testing.B) { // D3: the cost of a change is the size of the change
	backend := func(r *config.Route) (Backend, []config.Problem) { return Backend{Handler: say(r.Name)}, nil }
	compiler := NewCompiler(Options{Pool: pool.New(), Backends: backend})
	var routes []*config.Route
	for i := range 10_001 {
		routes = append(routes, newRoute(fmt.Sprint("r", i), fmt.Sprint("/svc/", i)))
	}
	before, _ := compiler.Compile(nil, cfg(routes[:10_000]...))
	full := cfg(routes...)
	for b.Loop() {
		s, _ := compiler.Compile(before, full)
		s.Discard()
	}
}
