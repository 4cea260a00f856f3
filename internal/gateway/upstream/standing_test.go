// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

func newRegistry() *Registry { return NewRegistry(Settings{}, pool.New()) }

func watched(o config.OutlierDetection, names string) *config.Route {
	r := balanced(config.LoadBalancing{}, nil, names)
	r.OutlierDetection = &o
	return r
}

// fails has an endpoint fail requests in a row.
func fails(e *Endpoint, n int) {
	for range n {
		e.Note(true)
	}
}

func TestFailuresInARowTakeAnEndpointOut(t *testing.T) { // L4
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := acquire(t, registry(t, Settings{}), watched(config.OutlierDetection{}, "abc"))
		b := c.endpoints[1]
		fails(b, 4)
		b.Note(false)
		fails(b, 4)
		if got := shares(t, c, 300, plainRequest); got["b"] != 100 {
			t.Fatalf("before five failures in a row: %v", got)
		}
		b.Note(true)
		if got := shares(t, c, 300, plainRequest); got["b"] != 0 || got["a"] != 150 {
			t.Fatalf("after: %v", got)
		}
		time.Sleep(defaultEjection - time.Second)
		if got := shares(t, c, 300, plainRequest); got["b"] != 0 {
			t.Fatalf("back too early: %v", got)
		}
		time.Sleep(time.Second + time.Millisecond)
		if got := shares(t, c, 300, plainRequest); got["b"] != 100 {
			t.Fatalf("traffic is not back at once: %v", got)
		}
	})
}

func TestWhoFailsAgainIsOutForLonger(t *testing.T) { // L4
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rules := config.OutlierDetection{ConsecutiveErrors: 1, BaseEjectionTime: config.Duration(10 * time.Second), MaxEjectionTime: config.Duration(25 * time.Second)}
		e := acquire(t, registry(t, Settings{}), watched(rules, "ab")).endpoints[0]
		for _, want := range []int{10, 20, 25, 25} {
			e.Note(true)
			time.Sleep(time.Duration(want)*time.Second - time.Millisecond)
			if !e.ejected() {
				t.Fatalf("out for less than %d s", want)
			}
			time.Sleep(2 * time.Millisecond)
			if e.ejected() {
				t.Fatalf("out for more than %d s", want)
			}
		}
		time.Sleep(time.Minute) // of good service
		e.Note(true)
		time.Sleep(11 * time.Second)
		if e.ejected() {
			t.Fatal("what was long ago counts")
		}
	})
}

func TestEjectionNeverEmptiesAPool(t *testing.T) { // L4
	t.Parallel()
	for _, c := range []struct {
		names   string
		percent *int
		want    int
	}{
		{"abcd", nil, 2},
		{"abc", nil, 1},
		{"ab", nil, 1},
		{"a", nil, 0},
		{"abcd", new(0), 0},
		{"abcd", new(25), 1},
		{"abcd", new(100), 4},
	} {
		t.Run(fmt.Sprint(c.names, c.want), func(t *testing.T) {
			t.Parallel()
			o := config.OutlierDetection{ConsecutiveErrors: 1, MaxEjectionPercent: c.percent, PanicThreshold: new(0)}
			cluster := acquire(t, registry(t, Settings{}), watched(o, c.names))
			var group sync.WaitGroup
			for _, e := range cluster.endpoints {
				group.Go(func() { fails(e, 10) })
			}
			group.Wait()
			out := 0
			for _, e := range cluster.endpoints {
				if e.ejected() {
					out++
				}
			}
			if out != c.want {
				t.Errorf("%d of %s are out, want %d", out, c.names, c.want)
			}
			if got := shares(t, cluster, 100, plainRequest); got["none"] > 0 {
				t.Errorf("requests find nobody: %v", got)
			}
		})
	}
}

func TestWithTooFewLeftAllAreUsed(t *testing.T) { // L4
	t.Parallel()
	o := config.OutlierDetection{ConsecutiveErrors: 1, PanicThreshold: new(60)}
	c := acquire(t, registry(t, Settings{}), watched(o, "abcd"))
	fails(c.endpoints[0], 1)
	if got := shares(t, c, 120, plainRequest); got["a"] != 0 || got["b"] != 40 {
		t.Errorf("with three of four left: %v", got)
	}
	sick(c, "b")
	if got := shares(t, c, 120, plainRequest); got["a"] != 40 || got["b"] != 0 {
		t.Errorf("with two of four left: %v, want all but the one that its probe finds ill", got)
	}
	matching := to(backend("a", 1), canary("b", 1, false, 0), canary("c", 1, false, 0))
	matching.OutlierDetection = &config.OutlierDetection{ConsecutiveErrors: 1, MaxEjectionPercent: new(100)}
	c = acquire(t, registry(t, Settings{}), matching)
	fails(c.endpoints[0], 1)
	fails(c.endpoints[1], 1)
	if got := shares(t, c, 100, plainRequest); got["a"] != 100 {
		t.Errorf("a panic sends requests to who does not match: %v", got)
	}
}

func TestWhatRequestsHaveShownSurvivesAReload(t *testing.T) { // L4, D3
	t.Parallel()
	g := registry(t, Settings{})
	before, _ := g.Acquire(watched(config.OutlierDetection{ConsecutiveErrors: 1}, "ab"))
	fails(before.endpoints[0], 1)
	route := watched(config.OutlierDetection{ConsecutiveErrors: 1}, "cba")
	route.Rewrite = "/v2"
	after := acquire(t, g, route)
	before.Release()
	if got := shares(t, after, 100, plainRequest); got["a"] != 0 || got["c"] != 50 {
		t.Errorf("after a reload: %v", got)
	}
	other := watched(config.OutlierDetection{ConsecutiveErrors: 2}, "ab")
	other.Name = "other"
	if got := shares(t, acquire(t, g, other), 100, plainRequest); got["a"] != 50 {
		t.Errorf("a route with rules of its own: %v", got)
	}
}

func TestWithoutDetectionNobodyIsTakenOut(t *testing.T) {
	t.Parallel()
	c := acquire(t, registry(t, Settings{}), balanced(config.LoadBalancing{}, nil, "ab"))
	fails(c.endpoints[0], 1000)
	if c.endpoints[0].standing != nil || c.endpoints[0].ejected() {
		t.Error("an endpoint is judged that nobody asked to judge")
	}
}

func TestWhoComesBackBeginsSlowly(t *testing.T) { // L4
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := watched(config.OutlierDetection{ConsecutiveErrors: 1}, "ab")
		r.LoadBalancing.SlowStart = config.Duration(100 * time.Second)
		c := acquire(t, registry(t, Settings{}), r)
		share := func() int { return shares(t, c, 1100, plainRequest)["a"] }
		if n := share(); !near(n, 550) {
			t.Errorf("those that begin together: %d", n)
		}
		time.Sleep(200 * time.Second)
		fails(c.endpoints[0], 1)
		time.Sleep(defaultEjection + time.Millisecond)
		if n := share(); !near(n, 100) {
			t.Errorf("at first %d of 1100", n)
		}
		time.Sleep(50 * time.Second)
		if n := share(); !near(n, 366) {
			t.Errorf("half-way %d of 1100", n)
		}
		time.Sleep(51 * time.Second)
		if n := share(); !near(n, 550) {
			t.Errorf("in the end %d of 1100", n)
		}
		// The same for one that its probe finds healthy again.
		b := c.endpoints[1]
		b.probe = &probe{log: c.registry.settings.Logger}
		b.probe.note(t.Context(), fmt.Errorf("ill"))
		b.probe.note(t.Context(), nil)
		if n := share(); !near(n, 1000) {
			t.Errorf("beside one that its probe has found healthy again: %d", n)
		}
	})
}

func TestJudgingIsSafeWhileRoutesChange(t *testing.T) { // L1
	t.Parallel()
	g := registry(t, Settings{})
	policies := []config.LoadBalancing{{}, {Policy: config.PolicyLeastRequest}, hashOn("header", "X-User"), {Sticky: &config.Sticky{}}, {SlowStart: 1e6}}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i := range 100 {
				r := balanced(policies[i%len(policies)], nil, "abc")
				r.OutlierDetection = &config.OutlierDetection{ConsecutiveErrors: 1, BaseEjectionTime: 1e6}
				c, problems := g.Acquire(r)
				if c == nil {
					t.Error(problems)
					return
				}
				for range 50 {
					q := Of(incoming("/", "X-User", "u"))
					e, err := c.Pick(q)
					if err != nil {
						t.Error(err)
						continue
					}
					e.Enter()
					e.Note(rand.N(3) == 0)
					c.Cookie(q, e, true)
					c.Instead(q, e)
					e.Leave()
				}
				c.Release()
			}
		})
	}
	group.Wait()
}
