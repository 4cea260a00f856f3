// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// balanced is a route with a policy over endpoints that are called by letters.
func balanced(b config.LoadBalancing, weights map[string]int, names string) *config.Route {
	r := to()
	for _, name := range names {
		r.Backends = append(r.Backends, backend(string(name), weights[string(name)]))
	}
	r.LoadBalancing = &b
	return r
}

func hashOn(source, name string) config.LoadBalancing {
	return config.LoadBalancing{Policy: config.PolicyConsistentHash, HashOn: &config.HashOn{Source: source, Name: name}}
}

// placed gives the endpoint of each of n values of the header X-User.
func placed(t *testing.T, c *Cluster, n int) []string {
	t.Helper()
	list := make([]string, n)
	for i := range list {
		e, err := c.Pick(Of(incoming("/", "X-User", fmt.Sprint("user-", i))))
		if err != nil {
			t.Fatal(err)
		}
		list[i] = e.Host()[:1]
	}
	return list
}

func count(list []string) map[string]int {
	got := map[string]int{}
	for _, name := range list {
		got[name]++
	}
	return got
}

func near(got, want int) bool { return got > want*85/100 && got < want*115/100 }

func TestAHashMovesOnlyTheValuesOfWhoLeft(t *testing.T) { // L4
	t.Parallel()
	const n = 5000
	for name, weights := range map[string]map[string]int{
		"equal":    nil,
		"weighted": {"a": 1, "b": 2, "c": 3, "d": 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := registry(t, Settings{})
			route := balanced(hashOn("header", "x-user"), weights, "abcd")
			c := acquire(t, g, route)
			before := placed(t, c, n)
			for k, got := range count(before) {
				want := n / 4
				if weights != nil {
					want = n * weights[k] / 10
				}
				if !near(got, want) {
					t.Errorf("%s has %d values, want about %d", k, got, want)
				}
			}
			moved := func(what string, after []string, gone string) {
				t.Helper()
				for i := range before {
					if before[i] != after[i] && before[i] != gone {
						t.Fatalf("%s: value %d moved from %s to %s", what, i, before[i], after[i])
					}
					if after[i] == gone {
						t.Fatalf("%s: value %d is still there", what, i)
					}
				}
				if len(count(after)) != 3 {
					t.Errorf("%s: all values of %s went to one other", what, gone)
				}
			}
			moved("removed", placed(t, acquire(t, g, balanced(hashOn("header", "x-user"), weights, "dab")), n), "c")
			sick(c, "b")
			moved("ill", placed(t, c, n), "b")
			// Another gateway, which has them in another order, agrees.
			other := placed(t, acquire(t, registry(t, Settings{}), balanced(hashOn("header", "x-user"), weights, "dcba")), n)
			for i := range before {
				if before[i] != other[i] {
					t.Fatalf("value %d is at %s and at %s", i, before[i], other[i])
				}
			}
		})
	}
}

func TestEachSourceOfAHash(t *testing.T) {
	t.Parallel()
	at := func(path, ip string) *http.Request {
		r := incoming(path, "X-User", path, "Cookie", "a=1; user="+strings.Trim(path, "/?u="))
		x := exchange.Of(r)
		x.Path, x.ClientIP = path, netip.MustParseAddr(ip)
		return r
	}
	for _, on := range []config.LoadBalancing{
		hashOn("header", "X-User"), hashOn("cookie", "user"), hashOn("query", "u"), hashOn("path", ""), hashOn("ip", ""),
		{Policy: config.PolicyConsistentHash}, // the address
	} {
		c := acquire(t, registry(t, Settings{}), balanced(on, nil, "abcde"))
		seen := map[string]bool{}
		for i := range 100 {
			path, ip := fmt.Sprintf("/?u=%d", i), fmt.Sprintf("192.0.2.%d", i)
			first, _ := c.Pick(Of(at(path, ip)))
			again, _ := c.Pick(Of(at(path, ip)))
			if first != again {
				t.Fatalf("%+v: %s is at %v and %v", on.HashOn, path, first, again)
			}
			seen[first.Host()] = true
		}
		if len(seen) != 5 {
			t.Errorf("%+v: only %d endpoints are used", on.HashOn, len(seen))
		}
	}
	c := acquire(t, registry(t, Settings{}), balanced(hashOn("header", "X-Absent"), nil, "ab"))
	if got := shares(t, c, 100, plainRequest); got["a"] != 50 {
		t.Errorf("requests without the value are shared %v", got)
	}
}

func TestAHashLeavesOutWeightZero(t *testing.T) { // L2
	t.Parallel()
	c := acquire(t, registry(t, Settings{}), balanced(hashOn("header", "X-User"), map[string]int{"a": 1, "b": 0}, "ab"))
	if got := count(placed(t, c, 100)); got["a"] != 100 {
		t.Fatal(got)
	}
}

func TestTheLeastBusyOfTwoIsTaken(t *testing.T) {
	t.Parallel()
	least := config.LoadBalancing{Policy: config.PolicyLeastRequest}
	g := registry(t, Settings{})
	c := acquire(t, g, balanced(least, nil, "abc"))
	busy := c.endpoints[1]
	for range 10 {
		busy.Enter()
	}
	if got := shares(t, c, 3000, plainRequest); got["b"] > 3000/9*2 || got["a"] < 1000 || got["c"] < 1000 {
		// Only who draws it twice takes it: fewer than a ninth, for draws are repeated.
		t.Errorf("with b busy: %v", got)
	}
	// Another version of the route knows what is under way.
	if n := acquire(t, g, balanced(least, nil, "cb")).endpoints[1].standing.active.Load(); n != 10 {
		t.Errorf("%d requests are under way after a reload", n)
	}
	for range 10 {
		busy.Leave()
	}
	if got := shares(t, c, 3000, plainRequest); !near(got["b"], 1000) {
		t.Errorf("with nobody busy: %v", got)
	}
	weighted := acquire(t, g, balanced(least, map[string]int{"d": 80, "e": 20, "f": 0}, "def"))
	if got := shares(t, weighted, 2000, plainRequest); got["f"] != 0 || !near(got["d"], 1600) && got["d"] < 1500 {
		t.Errorf("by weight: %v", got)
	}
	// All who take part get their requests served at once: ten under way each.
	spread := acquire(t, registry(t, Settings{}), balanced(least, nil, "abcdefghij"))
	for range 1000 {
		e, err := spread.Pick(Of(incoming("/")))
		if err != nil {
			t.Fatal(err)
		}
		e.Enter()
	}
	for _, e := range spread.endpoints {
		if n := e.standing.active.Load(); n < 90 || n > 110 {
			t.Errorf("%s has %d of 1000 requests", e, n)
		}
	}
}

func TestManyEndpointsShareToo(t *testing.T) {
	t.Parallel()
	var list []config.Backend
	for i := range 300 { // more than there are marks on the stack
		list = append(list, config.Backend{Endpoint: fmt.Sprintf("http://h%d", i)})
	}
	for _, policy := range []string{config.PolicyRoundRobin, config.PolicyLeastRequest, config.PolicyConsistentHash} {
		r := to(list...)
		r.LoadBalancing = &config.LoadBalancing{Policy: policy}
		c := acquire(t, registry(t, Settings{}), r)
		got := map[string]int{}
		for i := range 3000 {
			q := incoming("/")
			exchange.Of(q).ClientIP = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
			e, err := c.Pick(Of(q))
			if err != nil {
				t.Fatal(err)
			}
			got[e.Host()]++
		}
		if len(got) < 290 {
			t.Errorf("%s uses %d of 300", policy, len(got))
		}
	}
}

func TestARequestWithoutAConnectionGoesToAnotherEndpoint(t *testing.T) { // U3
	t.Parallel()
	for _, b := range []config.LoadBalancing{{}, {Policy: config.PolicyLeastRequest}, {Policy: config.PolicyConsistentHash}} {
		c := acquire(t, registry(t, Settings{}), balanced(b, nil, "abc"))
		for range 20 {
			q := Of(incoming("/"))
			e, err := c.Pick(q)
			if err != nil {
				t.Fatal(err)
			}
			if other := c.Instead(q, e); other == nil || other == e {
				t.Fatalf("%+v: %v in place of %v", b, other, e)
			}
		}
		sick(c, "bc")
		if other := c.Instead(Of(incoming("/")), c.endpoints[0]); other != nil {
			t.Errorf("%v is ill", other)
		}
	}
	alone := acquire(t, registry(t, Settings{}), target("http://a"))
	if other := alone.Instead(Of(incoming("/")), alone.endpoints[0]); other != nil {
		t.Errorf("there is no other, got %v", other)
	}
}

func TestAnUnknownPolicyMakesTheRouteInvalid(t *testing.T) {
	t.Parallel()
	for field, b := range map[string]config.LoadBalancing{
		"loadBalancing.policy":        {Policy: "random"},
		"loadBalancing.hashOn.source": hashOn("body", "x"),
	} {
		if p := problem(t, registry(t, Settings{}), balanced(b, nil, "ab")); p.Field != field || p.Reason != config.ReasonInvalid {
			t.Errorf("want a problem of %s, got %s", field, p)
		}
	}
}

// settings are those of the pick that cost different work.
func pickers(tb testing.TB) map[string]*config.Route {
	tb.Helper()
	sticky := config.LoadBalancing{Sticky: &config.Sticky{}}
	slow := config.LoadBalancing{SlowStart: 1}
	outliers := balanced(config.LoadBalancing{}, nil, "abc")
	outliers.OutlierDetection = &config.OutlierDetection{}
	return map[string]*config.Route{
		"in turn":       balanced(config.LoadBalancing{}, nil, "abc"),
		"weighted":      balanced(config.LoadBalancing{}, map[string]int{"a": 3, "b": 2, "c": 1}, "abc"),
		"least request": balanced(config.LoadBalancing{Policy: config.PolicyLeastRequest}, nil, "abc"),
		"hash":          balanced(hashOn("header", "X-User"), nil, "abc"),
		"weighted hash": balanced(hashOn("cookie", "user"), map[string]int{"a": 3, "b": 2, "c": 1}, "abc"),
		"sticky":        balanced(sticky, nil, "abc"),
		"slow start":    balanced(slow, nil, "abc"),
		"outliers":      outliers,
		"64 endpoints":  balanced(config.LoadBalancing{}, nil, strings.Repeat("abcdefgh", 8)),
		"canary":        to(backend("a", 80), canary("b", 20, false, 0)),
	}
}

func picked(tb testing.TB, r *config.Route) (*Cluster, *http.Request) {
	tb.Helper()
	g := newRegistry()
	c, problems := g.Acquire(r)
	if c == nil {
		tb.Fatal(problems)
	}
	tb.Cleanup(c.Release)
	return c, incoming("/", "X-User", "somebody", "Cookie", "a=b; user=somebody", "X-Beta", "yes")
}

func TestPickingAllocatesNothing(t *testing.T) {
	for name, r := range pickers(t) {
		c, q := picked(t, r)
		if n := testing.AllocsPerRun(100, func() {
			e, err := c.Pick(Of(q))
			if err != nil {
				t.Fatal(err)
			}
			e.Enter()
			e.Note(false)
			e.Leave()
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for name, r := range pickers(b) {
		b.Run(name, func(b *testing.B) {
			c, q := picked(b, r)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := c.Pick(Of(q)); err != nil && !errors.Is(err, ErrNoEndpoint) {
						b.Error(err)
					}
				}
			})
		})
	}
}
