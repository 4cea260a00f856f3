// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

func checked(endpoint string, h config.HealthCheck) *config.Route {
	r := target(endpoint)
	r.HealthCheck = &h
	return r
}

// never is an interval after which no test is still running.
const never = config.Duration(time.Hour)

func healthOf(g *Registry) EndpointHealth {
	if list := g.Health(&config.Route{Name: "r"}); len(list) == 1 {
		return list[0]
	}
	return EndpointHealth{}
}

func TestAnEndpointIsAskedAtOnceAndByItsPath(t *testing.T) { // L3
	t.Parallel()
	asked := make(chan *http.Request, 1)
	s := server(t, func(_ http.ResponseWriter, r *http.Request) { asked <- r })
	g := registry(t, Settings{Version: "1.2.3"})
	acquire(t, g, checked(s.URL+"/base/", config.HealthCheck{Path: "/healthz?deep=1", Interval: never}))
	select {
	case r := <-asked:
		if r.Method != http.MethodGet || r.URL.String() != "/base/healthz?deep=1" || r.UserAgent() != "goma-gateway/1.2.3" {
			t.Fatal(r.Method, r.URL, r.UserAgent())
		}
	case <-time.After(patience):
		t.Fatal("nobody was asked")
	}
}

func TestWhatIsHealthy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		status  int
		healthy []int
		want    string
	}{
		{"200 without a list", 200, nil, ""},
		{"a redirect, which is not followed", 302, nil, ""},
		{"404 without a list", 404, nil, "status 404"},
		{"500 without a list", 500, nil, "status 500"},
		{"401 that is on the list", 401, []int{200, 401}, ""},
		{"200 that is not on the list", 200, []int{204, 20}, "status 200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var count atomic.Int32
			s := server(t, func(w http.ResponseWriter, _ *http.Request) {
				count.Add(1)
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
			})
			g := registry(t, Settings{})
			cluster := acquire(t, g, checked(s.URL, config.HealthCheck{Path: "/", Interval: config.Duration(time.Millisecond), Timeout: never, HealthyStatuses: c.healthy}))
			eventually(t, "two answers were seen", func() bool { return count.Load() > 2 })
			if got := healthOf(g); got.Error != c.want || got.Healthy != (c.want == "") || got.Endpoint != s.URL {
				t.Fatalf("%+v", got)
			}
			// A lone endpoint gets its requests all the same.
			if e, err := cluster.Pick(Of(incoming("/"))); err != nil || e.String() != s.URL {
				t.Fatal(e, err)
			}
		})
	}
}

func TestOneFailureTakesAnEndpointOutAndOneSuccessBringsItBack(t *testing.T) {
	t.Parallel()
	var ill atomic.Bool
	s := server(t, func(w http.ResponseWriter, _ *http.Request) {
		if ill.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	other := server(t, func(http.ResponseWriter, *http.Request) {})
	route := to(config.Backend{Endpoint: s.URL}, config.Backend{Endpoint: other.URL})
	route.HealthCheck = &config.HealthCheck{Path: "/", Interval: config.Duration(time.Millisecond)}
	c := acquire(t, registry(t, Settings{}), route)
	gets := func() bool {
		for range 4 {
			if e, err := c.Pick(Of(incoming("/"))); err == nil && e.String() == s.URL {
				return true
			}
		}
		return false
	}
	ill.Store(true)
	eventually(t, "the endpoint is out", func() bool { return !gets() })
	ill.Store(false)
	eventually(t, "the endpoint is back", gets)
}

func TestAnEndpointThatDoesNotAnswerIsIll(t *testing.T) { // L3: timeout
	t.Parallel()
	release := make(chan struct{})
	s := server(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	g := registry(t, Settings{})
	acquire(t, g, checked(s.URL, config.HealthCheck{Path: "/", Interval: never, Timeout: config.Duration(20 * time.Millisecond)}))
	eventually(t, "the endpoint is ill", func() bool { return strings.Contains(healthOf(g).Error, "deadline") })
}

func TestNobodyListensIsIll(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(nil)
	s.Close()
	g := registry(t, Settings{})
	acquire(t, g, checked(s.URL, config.HealthCheck{Path: "/", Interval: never}))
	eventually(t, "the endpoint is ill", func() bool { return strings.Contains(healthOf(g).Error, "refused") })
}

func TestRoutesThatAskTheSameShareOneProbe(t *testing.T) { // L3
	t.Parallel()
	var asked atomic.Int32
	s := server(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	g := registry(t, Settings{})
	h := config.HealthCheck{Path: "/", Interval: never}
	route := checked(s.URL, h)
	route.Name = "one"
	first := acquire(t, g, route)
	second := acquire(t, g, checked(s.URL, h))
	if first.endpoints[0].probe != second.endpoints[0].probe {
		t.Error("two probes for one question")
	}
	for name, other := range map[string]*config.Route{
		"path":     checked(s.URL, config.HealthCheck{Path: "/other", Interval: never}),
		"base":     checked(s.URL+"/base", h),
		"interval": checked(s.URL, config.HealthCheck{Path: "/", Interval: never * 2}),
		"timeout":  checked(s.URL, config.HealthCheck{Path: "/", Interval: never, Timeout: never}),
		"statuses": checked(s.URL, config.HealthCheck{Path: "/", Interval: never, HealthyStatuses: []int{200}}),
	} {
		if c := acquire(t, g, other); c.endpoints[0].probe == first.endpoints[0].probe {
			t.Errorf("one probe for two values of %s", name)
		}
	}
	// Reading results asks nobody.
	eventually(t, "all were asked once", func() bool { return asked.Load() == 6 })
	for range 100 {
		g.Health(route)
	}
	if n := asked.Load(); n != 6 {
		t.Errorf("asked %d times", n)
	}
}

func TestHealthSurvivesAReload(t *testing.T) { // L3, D3
	t.Parallel()
	var asked atomic.Int32
	s := server(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
	})
	other := server(t, func(http.ResponseWriter, *http.Request) {})
	g := registry(t, Settings{})
	route := to(config.Backend{Endpoint: s.URL}, config.Backend{Endpoint: other.URL})
	route.HealthCheck = &config.HealthCheck{Path: "/", Interval: never}
	before, _ := g.Acquire(route)
	eventually(t, "the endpoint is ill", func() bool { return !g.Health(route)[0].Healthy })
	edited := *route
	edited.Rewrite = "/v2"
	edited.Backends = slices.Clone(route.Backends)
	slices.Reverse(edited.Backends) // state is not kept by position
	after := acquire(t, g, &edited)
	before.Release()
	for range 10 {
		if e, err := after.Pick(Of(incoming("/"))); err != nil || e.String() != other.URL {
			t.Fatalf("went to %v, %v", e, err)
		}
	}
	if got := g.Health(&edited); got[0].Endpoint != other.URL || !got[0].Healthy || got[1].Healthy {
		t.Fatal(got)
	}
	if n := asked.Load(); n != 1 {
		t.Fatalf("asked %d times", n)
	}
}

func TestAProbeEndsWithItsLastRoute(t *testing.T) { // L3
	t.Parallel()
	p := pool.New()
	g := NewRegistry(Settings{}, p)
	busy := make(chan struct{})
	var once sync.Once
	s := server(t, func(_ http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(busy) })
		<-r.Context().Done()
	})
	c, _ := g.Acquire(checked(s.URL, config.HealthCheck{Path: "/"}))
	<-busy
	c.Release() // does not wait for an answer; goleak sees what is left
	if p.Len() != 0 || g.Health(&config.Route{Name: "r"}) != nil {
		t.Fatal("something is left")
	}
}

func TestProbesDoNotWaitForTheConnectionsOfRequests(t *testing.T) {
	t.Parallel()
	one := 1
	held, release := make(chan struct{}), make(chan struct{})
	s := server(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			close(held)
			<-release
		}
	})
	g := registry(t, Settings{Networking: config.Networking{Transport: config.Transport{MaxConnsPerHost: &one}}})
	var group sync.WaitGroup
	defer group.Wait()
	defer close(release)
	c := acquire(t, g, target(s.URL))
	group.Go(func() { _, _, _ = ask(t, c) })
	<-held
	route := checked(s.URL, config.HealthCheck{Path: "/healthz", Interval: config.Duration(time.Millisecond)})
	probed := acquire(t, g, route).endpoints[0].probe
	sick := "not asked yet"
	probed.failure.Store(&sick)
	eventually(t, "the endpoint is found healthy", func() bool { return healthOf(g).Healthy })
}
