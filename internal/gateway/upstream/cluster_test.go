// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// shares counts which endpoints n requests get, by the first letter of their host.
func shares(t *testing.T, c *Cluster, n int, request func(i int) *http.Request) map[string]int {
	t.Helper()
	got := map[string]int{}
	for i := range n {
		e, err := c.Pick(Of(request(i)))
		if err != nil {
			got["none"]++
			continue
		}
		got[e.Host()[:1]]++
	}
	return got
}

func plainRequest(int) *http.Request { return incoming("/") }

func beta(int) *http.Request { return incoming("/", "X-Beta", "yes") }

// sick makes endpoints fail their health check, by the first letter of their host.
func sick(c *Cluster, hosts string) {
	for _, e := range c.endpoints {
		for _, h := range hosts {
			if e.Host()[0] == byte(h) {
				reason := "status 500"
				e.probe = &probe{}
				e.probe.failure.Store(&reason)
			}
		}
	}
}

func backend(name string, weight int) config.Backend {
	return config.Backend{Endpoint: "http://" + name + ":1", Weight: weight}
}

func canary(name string, weight int, exclusive bool, priority int) config.Backend {
	b := backend(name, weight)
	b.Match = []config.BackendMatch{{Source: "header", Name: "x-beta", Operator: "equals", Value: "yes"}}
	b.Exclusive, b.Priority = exclusive, priority
	return b
}

func TestRequestsAreSharedOut(t *testing.T) { // L2
	t.Parallel()
	const n = 2000
	for _, c := range []struct {
		name     string
		backends []config.Backend
		sick     string
		request  func(int) *http.Request
		want     map[string]int
	}{
		{"by weight, within five per cent", []config.Backend{backend("a", 80), backend("b", 20)}, "", plainRequest, map[string]int{"a": 1600, "b": 400}},
		{"by weights of any size", []config.Backend{backend("a", 1), backend("b", 3), backend("c", 6)}, "", plainRequest, map[string]int{"a": 200, "b": 600, "c": 1200}},
		{"equally without weights", []config.Backend{backend("a", 0), backend("b", 0), backend("c", 0), backend("d", 0)}, "", plainRequest, map[string]int{"a": 500, "b": 500, "c": 500, "d": 500}},
		{"with nothing for weight 0 beside weighted ones", []config.Backend{backend("a", 5), backend("b", 0)}, "", plainRequest, map[string]int{"a": n}},
		{"with nothing for weight 0 when the weighted ones are ill", []config.Backend{backend("a", 5), backend("b", 0)}, "a", plainRequest, map[string]int{"none": n}},
		{"among the healthy, by weight", []config.Backend{backend("a", 50), backend("b", 30), backend("c", 10)}, "a", plainRequest, map[string]int{"b": 1500, "c": 500}},
		{"among the healthy, equally", []config.Backend{backend("a", 0), backend("b", 0), backend("c", 0)}, "b", plainRequest, map[string]int{"a": 1000, "c": 1000}},
		{"with nobody left", []config.Backend{backend("a", 0), backend("b", 0)}, "ab", plainRequest, map[string]int{"none": n}},
		{"to a lone backend whatever its health", []config.Backend{backend("a", 0)}, "a", plainRequest, map[string]int{"a": n}},
		{"to a lone backend whatever its match", []config.Backend{canary("a", 0, true, 0)}, "", plainRequest, map[string]int{"a": n}},
		{"to an exclusive canary when it matches", []config.Backend{backend("a", 90), canary("b", 0, true, 0)}, "", beta, map[string]int{"b": n}},
		{"past an exclusive canary that does not match", []config.Backend{backend("a", 0), canary("b", 90, true, 0)}, "", plainRequest, map[string]int{"a": n}},
		{"past an exclusive canary that is ill", []config.Backend{backend("a", 0), canary("b", 90, true, 0)}, "b", beta, map[string]int{"a": n}},
		{"to the exclusive canary of highest priority", []config.Backend{backend("a", 0), canary("b", 0, true, 1), canary("c", 0, true, 2)}, "", beta, map[string]int{"c": n}},
		{"to the first exclusive canary of a priority", []config.Backend{backend("a", 0), canary("b", 0, true, 1), canary("c", 0, true, 1)}, "", beta, map[string]int{"b": n}},
		{"to the next exclusive canary when one is ill", []config.Backend{canary("b", 0, true, 1), canary("c", 0, true, 2), backend("a", 0)}, "c", beta, map[string]int{"b": n}},
		{"between stable and canary where it matches", []config.Backend{backend("a", 75), canary("b", 25, false, 0)}, "", beta, map[string]int{"a": 1500, "b": 500}},
		{"past a canary where it does not match", []config.Backend{backend("a", 75), canary("b", 25, false, 0)}, "", plainRequest, map[string]int{"a": n}},
		{"to stable backends without weight beside a canary with one", []config.Backend{backend("a", 0), canary("b", 25, false, 0)}, "", plainRequest, map[string]int{"a": n}},
		{"equally with a canary, without weights", []config.Backend{backend("a", 0), canary("b", 0, false, 0)}, "", beta, map[string]int{"a": 1000, "b": 1000}},
		{"with nobody for whom no canary matches", []config.Backend{canary("a", 1, false, 0), canary("b", 1, true, 0)}, "", plainRequest, map[string]int{"none": n}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cluster := acquire(t, registry(t, Settings{}), to(c.backends...))
			sick(cluster, c.sick)
			got := shares(t, cluster, n, c.request)
			for name, want := range c.want {
				if d := got[name] - want; d < -n/20 || d > n/20 {
					t.Errorf("got %v, want about %v", got, c.want)
				}
				delete(got, name)
			}
			if len(got) > 0 {
				t.Errorf("got %v beside %v", got, c.want)
			}
		})
	}
}

func TestAllRequestsOfAShareOfOneHundredAreExact(t *testing.T) {
	t.Parallel()
	c := acquire(t, registry(t, Settings{}), to(backend("a", 1), backend("b", 0)))
	if got := shares(t, c, 100, plainRequest); got["a"] != 100 {
		t.Fatal(got)
	}
}

func TestTheOrderOfRequestsDoesNotDecideWhoGetsThem(t *testing.T) { // L2
	t.Parallel()
	// Every other request matches; taking turns would give them all to one backend.
	cluster := acquire(t, registry(t, Settings{}), to(backend("a", 0), canary("b", 0, false, 0)))
	got := shares(t, cluster, 4000, func(i int) *http.Request {
		if i%2 == 0 {
			return incoming("/")
		}
		return incoming("/", "X-Beta", "yes")
	})
	if got["b"] < 900 || got["b"] > 1100 {
		t.Fatalf("the canary got %d of 2000 requests that match", got["b"])
	}
}

func TestOneRouteDoesNotTakeTheTurnsOfAnother(t *testing.T) { // L2
	t.Parallel()
	g := registry(t, Settings{})
	first, second := acquire(t, g, to(backend("a", 0), backend("b", 0))), acquire(t, g, to(backend("a", 0), backend("b", 0)))
	got := map[string]int{}
	for range 100 {
		e, _ := first.Pick(Of(incoming("/")))
		got[e.Host()]++
		_, _ = second.Pick(Of(incoming("/")))
	}
	if got["a:1"] != 50 || got["b:1"] != 50 {
		t.Fatal(got)
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	client := func(r *http.Request) *http.Request {
		exchange.Of(r).ClientIP = netip.MustParseAddr("192.0.2.7")
		return r
	}
	for _, c := range []struct {
		source, name, operator, value string
		request                       *http.Request
		want                          bool
	}{
		{"header", "X-Beta", "equals", "yes", incoming("/", "x-beta", "yes"), true},
		{"header", "x-beta", "equals", "yes", incoming("/", "X-Beta", "YES"), false},
		{"header", "X-Beta", "equals", "yes", incoming("/", "X-Beta", "no", "X-Beta", "yes"), false}, // the first value counts
		{"HEADER", "X-Beta", "EQUALS", "yes", incoming("/", "X-Beta", "yes"), true},
		{"header", "Host", "equals", "example.com", incoming("/"), true},
		{"header", "X-Beta", "not_equals", "yes", incoming("/"), true}, // what is absent is empty
		{"header", "X-Beta", "not_equals", "yes", incoming("/", "X-Beta", "yes"), false},
		{"header", "User-Agent", "contains", "Mobile", incoming("/", "User-Agent", "A Mobile B"), true},
		{"header", "User-Agent", "not_contains", "Mobile", incoming("/", "User-Agent", "A Mobile B"), false},
		{"header", "User-Agent", "starts_with", "curl/", incoming("/", "User-Agent", "curl/8"), true},
		{"header", "User-Agent", "starts_with", "curl/", incoming("/", "User-Agent", "not curl/8"), false},
		{"header", "User-Agent", "ends_with", "/8", incoming("/", "User-Agent", "curl/8"), true},
		{"header", "User-Agent", "ends_with", "/8", incoming("/", "User-Agent", "curl/8.1"), false},
		{"cookie", "group", "in", "beta, alpha", incoming("/", "Cookie", "x=1; group=alpha"), true},
		{"cookie", "group", "in", "beta,alpha", incoming("/", "Cookie", "group=alph"), false},
		{"cookie", "group", "equals", "", incoming("/"), true},
		{"query", "v", "equals", "a b", incoming("/?x=1&v=a+b&v=2"), true},
		{"query", "v w", "equals", "ä", incoming("/?v%20w=%C3%A4"), true},
		{"query", "v", "equals", "1", incoming("/?w=1"), false},
		{"query", "v", "regex", "^[0-9]+$", incoming("/?v=12"), true},
		{"query", "v", "regex", "[0-9]", incoming("/?v=a1b"), true}, // unanchored
		{"query", "v", "regex", "^[0-9]+$", incoming("/?v=12x"), false},
		{"ip", "", "equals", "192.0.2.7", client(incoming("/")), true},
		{"ip", "", "starts_with", "192.0.2.", client(incoming("/", "X-Forwarded-For", "10.0.0.1")), true},
		{"ip", "", "equals", "10.0.0.1", client(incoming("/", "X-Forwarded-For", "10.0.0.1")), false}, // P5
		{"ip", "", "equals", "", incoming("/"), true},
	} {
		t.Run(fmt.Sprintf("%s %s %s %q in %s %v", c.source, c.name, c.operator, c.value, c.request.URL, c.request.Header), func(t *testing.T) {
			t.Parallel()
			match := config.BackendMatch{Source: c.source, Name: c.name, Operator: c.operator, Value: c.value}
			conditions, _, err := newConditions([]config.BackendMatch{match})
			if err != nil {
				t.Fatal(err)
			}
			if got := conditions[0].holds(Of(c.request)); got != c.want {
				t.Fatalf("got %t", got)
			}
		})
	}
}

func TestAllEntriesOfAMatchMustHold(t *testing.T) {
	t.Parallel()
	b := canary("b", 0, true, 0)
	b.Match = append(b.Match, config.BackendMatch{Source: "query", Name: "v", Operator: "equals", Value: "2"})
	c := acquire(t, registry(t, Settings{}), to(backend("a", 0), b))
	for path, want := range map[string]string{"/": "a:1", "/?v=2": "b:1", "/?v=3": "a:1"} {
		if e, err := c.Pick(Of(incoming(path, "X-Beta", "yes"))); err != nil || e.Host() != want {
			t.Errorf("%s went to %v, %v", path, e, err)
		}
	}
	if e, err := c.Pick(Of(incoming("/?v=2"))); err != nil || e.Host() != "a:1" {
		t.Errorf("half a match went to %v, %v", e, err)
	}
}

func TestAnInvalidBackendMakesTheRouteInvalidAndSaysWhere(t *testing.T) { // C4, L2
	t.Parallel()
	with := func(m config.BackendMatch) *config.Route {
		b := backend("b", 0)
		b.Match = []config.BackendMatch{{Source: "ip", Operator: "equals", Value: "::1"}, m}
		return to(backend("a", 0), b)
	}
	for field, r := range map[string]*config.Route{
		"backends[1].match[1].value":    with(config.BackendMatch{Source: "ip", Operator: "regex", Value: "("}),
		"backends[1].match[1].operator": with(config.BackendMatch{Source: "ip", Operator: "like", Value: "x"}),
		"backends[1].match[1].source":   with(config.BackendMatch{Source: "body", Operator: "equals", Value: "x"}),
		"backends[1].endpoint":          to(backend("a", 0), config.Backend{Endpoint: "ftp://b"}),
		"target":                        target("nowhere"),
	} {
		if p := problem(t, registry(t, Settings{}), r); p.Field != field || p.Reason != config.ReasonInvalid {
			t.Errorf("want a problem of %s, got %s", field, p)
		}
	}
}

func TestPickingIsSafeWhileRoutesChange(t *testing.T) { // L1
	t.Parallel()
	g := registry(t, Settings{})
	s := server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader([]int{200, 500}[rand.N(2)]) })
	route := to(config.Backend{Endpoint: s.URL + "/a", Weight: 1}, config.Backend{Endpoint: s.URL + "/b", Weight: 2}, canary("c", 3, true, 0))
	route.HealthCheck = &config.HealthCheck{Path: "/", Interval: 1e6}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i := range 200 {
				c, problems := g.Acquire(route)
				if c == nil {
					t.Error(problems)
					return
				}
				for range 20 {
					if _, err := c.Pick(Of(incoming("/", "X-Beta", []string{"yes", "no"}[i%2]))); err != nil && !errors.Is(err, ErrNoEndpoint) {
						t.Error(err)
					}
				}
				g.Health(route)
				c.Release()
				c.Release()
			}
		})
	}
	group.Wait()
}
