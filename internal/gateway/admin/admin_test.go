// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

func text(s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) })
}

// site is endpoints with a catch-all route, if it names a path.
type site struct {
	*Endpoints
	route string
}

func newSite(s Settings, o Options) *site {
	if o.Readiness == nil {
		o.Readiness = NewReadiness()
	}
	if o.Generation == nil {
		o.Generation = func() uint64 { return 7 }
	}
	o.Metrics, o.RouteHealth = text("metrics"), text("routes")
	e := New(o)
	e.Set(s)
	return &site{Endpoints: e}
}

func (s *site) public(r *http.Request) *httptest.ResponseRecorder {
	named := func(*http.Request) (string, bool) { return s.route, s.route != "" }
	return serve(s.Public(named, text("route")), r)
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	x := &exchange.Exchange{Path: r.URL.EscapedPath(), Host: strings.ToLower(r.Host)}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
	return w
}

func request(method, target string) *http.Request { return httptest.NewRequest(method, target, nil) }

func TestReadinessWaitsForEverythingAndEndsWithTheDrain(t *testing.T) { // B1, E1
	t.Parallel()
	ready := NewReadiness("source file", "listeners")
	s := newSite(Settings{}, Options{Readiness: ready})
	check := func(code int, body string) {
		t.Helper()
		for _, w := range []*httptest.ResponseRecorder{s.public(request("GET", "/readyz")), serve(s.Private(), request("GET", "/readyz"))} {
			if w.Code != code || strings.TrimSpace(w.Body.String()) != body {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		}
		if w := s.public(request("GET", "/healthz")); w.Code != 200 {
			t.Errorf("/healthz is %d", w.Code)
		}
	}
	check(503, `{"name":"Service Gateway","status":"starting","error":"waiting for source file, listeners"}`)
	ready.Arrived("listeners")
	ready.Arrived("listeners")
	check(503, `{"name":"Service Gateway","status":"starting","error":"waiting for source file"}`)
	select {
	case <-ready.Ready():
		t.Error("ready too early")
	default:
	}
	ready.Arrived("source file")
	<-ready.Ready()
	check(200, `{"name":"Service Gateway","status":"running","error":""}`)
	ready.Drain()
	check(503, `{"name":"Service Gateway","status":"draining","error":"the gateway is shutting down"}`)
}

func TestProbesAreNeverHidden(t *testing.T) {
	t.Parallel()
	no := false
	s := newSite(Settings{Monitoring: config.Monitoring{
		EnableMetrics: true, Host: "metrics.example.com", EnableReadiness: &no, EnableLiveness: &no,
	}}, Options{})
	for target, want := range map[string]string{
		"http://any/healthz":                      `{"name":"Service Gateway","status":"running","error":""}`,
		"http://any/readyz":                       `{"name":"Service Gateway","status":"running","error":""}`,
		"http://any/metrics":                      "route",
		"http://metrics.example.com/metrics":      "metrics",
		"http://metrics.example.com:8080/metrics": "metrics",
		"http://any/healthz/routes":               "route",
		"http://any/gateway/reload":               "route",
		"http://any/config":                       "route",
		"http://metrics.example.com/metrics/x":    "route", // B2: no prefixes
	} {
		if got := strings.TrimSpace(s.public(request("GET", target)).Body.String()); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
	// On the admin listener the host is that of the pod.
	if w := serve(s.Private(), request("GET", "http://10.0.0.1:9902/metrics")); w.Body.String() != "metrics" {
		t.Errorf("admin: %d %s", w.Code, w.Body)
	}
}

func TestARouteThatNamesThePathOfAnEndpointComesFirst(t *testing.T) {
	t.Parallel()
	s := newSite(Settings{StrictSlash: true}, Options{})
	for _, c := range []struct {
		route, method, path string
		code                int
		body                string
	}{
		{"/healthz", "GET", "/healthz", 200, "route"},
		{"/", "GET", "/healthz", 200, `"running"`},
		{"/", "POST", "/healthz", 200, "route"},
		{"", "POST", "/healthz", 405, "Method Not Allowed"},
		{"", "HEAD", "/readyz", 200, ""},
		{"", "GET", "/readyz/", 301, "/readyz"},
		{"/", "GET", "/readyz/", 200, "route"},
		{"", "GET", "/healthzz", 200, "route"},
	} {
		s.route = c.route
		w := s.public(request(c.method, c.path))
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%+v: %d %s", c, w.Code, w.Body)
		}
		if w.Code == 405 && w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%+v: Allow %q", c, w.Header().Get("Allow"))
		}
	}
}

func TestReloadNeedsItsTokenAndSaysWhatItDid(t *testing.T) { // B2
	t.Parallel()
	var failure error
	calls := 0
	o := Options{Reload: func(context.Context) (int, error) { calls++; return 7, failure }}
	s := newSite(Settings{Reload: config.Reload{Enabled: true, Token: "canary", Host: "ops.example.com"}}, o)
	do := func(method, host, auth string) *httptest.ResponseRecorder {
		r := request(method, "http://"+host+"/gateway/reload")
		if auth != "" {
			r.Header.Set("Authorization", auth)
		}
		return s.public(r)
	}
	for _, auth := range []string{"", "Bearer", "Bearer ", "Bearer canar", "Bearer canary2", "Basic canary", "canary"} {
		if w := do("POST", "ops.example.com", auth); w.Code != 401 || strings.TrimSpace(w.Body.String()) != `{"error":"unauthorized","status":"error"}` {
			t.Errorf("%q: %d %s", auth, w.Code, w.Body)
		}
	}
	if calls != 0 {
		t.Fatal("reloaded without the token")
	}
	if w := do("POST", "other.example.com", "Bearer canary"); w.Body.String() != "route" {
		t.Errorf("another host: %d %s", w.Code, w.Body)
	}
	if w := do("GET", "ops.example.com", "Bearer canary"); w.Code != 405 {
		t.Errorf("GET: %d", w.Code)
	}
	w := do("POST", "ops.example.com", "bearer canary")
	var ok struct {
		DurationMs *int64
		Routes     int
		Status     string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &ok); err != nil || w.Code != 200 || ok.Routes != 7 || ok.Status != "ok" || ok.DurationMs == nil {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	failure = errors.New("goma.yml:3:1: no")
	if w := do("POST", "ops.example.com", "Bearer canary"); w.Code != 500 || !strings.Contains(w.Body.String(), `"error":"goma.yml:3:1: no"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	s.Set(Settings{Reload: config.Reload{Enabled: true}}) // enabled without a token is as if absent
	if w := do("POST", "ops.example.com", "Bearer "); w.Body.String() != "route" {
		t.Errorf("no token: %d %s", w.Code, w.Body)
	}
}

func TestTheDumpShowsNoSecret(t *testing.T) { // B2, C8
	t.Parallel()
	cfg := &config.Config{
		Gateway: &config.Gateway{
			Redis:  &config.Redis{Addr: "redis:6379", Password: "canary-1"},
			Reload: config.Reload{Token: "canary-2"},
			Providers: config.Providers{
				HTTP: &config.HTTPProvider{Headers: map[string]config.Secret{"X-Key": "canary-3"}},
				Git:  &config.GitProvider{URL: "https://user:canary-4@git.example/x.git"},
			},
			TLS:    &config.TLS{Default: &config.Certificate{Cert: "/a.crt", Key: "-----BEGIN canary-5"}},
			Routes: []config.Route{{Name: "static", Target: "http://u:canary-6@b"}},
		},
		Routes: []*config.Route{{Name: "r", Path: "/", Target: "http://u:canary-7@b:80"}},
		Middlewares: []*config.Middleware{{
			Name: "auth", Type: "basicAuth",
			Rule: json.RawMessage(`{"users":["admin:canary-8",{"password":"canary-9"}],"burst":3,"on":true,"canary":"canary-10"}`),
		}},
	}
	s := newSite(Settings{Reload: config.Reload{Enabled: true, Token: "token"}}, Options{Config: func() *config.Config { return cfg }})
	r := request("GET", "http://10.0.0.1:9902/config")
	if w := serve(s.Private(), r); w.Code != 403 {
		t.Errorf("a stranger got %d %s", w.Code, w.Body)
	}
	r.RemoteAddr = "127.0.0.1:5000"
	if w := serve(s.Private(), r); w.Code != 403 {
		t.Errorf("a rebound name got %d", w.Code)
	}
	local := request("GET", "http://localhost:9902/config")
	local.RemoteAddr = "[::1]:5000"
	remote := request("GET", "http://10.0.0.1:9902/config")
	remote.Header.Set("Authorization", "Bearer token")
	for _, r := range []*http.Request{local, remote} {
		w := serve(s.Private(), r)
		body := strings.ReplaceAll(w.Body.String(), `"canary":`, "")
		if w.Code != 200 || strings.Contains(body, "canary") {
			t.Errorf("%d %s", w.Code, body)
		}
		for _, want := range []string{`"redis:6379"`, `"burst":3`, `"on":true`, `"name":"r"`, "@b:80", `"generation":7`, `"checksum":"sha256:`} {
			if !strings.Contains(body, want) {
				t.Errorf("no %s in %s", want, body)
			}
		}
	}
}

func TestExplainReadsTheURLAsTheGatewayWould(t *testing.T) { // R6, P1
	t.Parallel()
	var asked []string
	o := Options{
		Explain: func(method, scheme, host, path string) Explanation {
			asked = append(asked, method+" "+scheme+" "+host+" "+path)
			return Explanation{Method: method, Host: host, Path: path, Route: "r"}
		},
		Routes: func() []RouteInfo { return []RouteInfo{{Name: "r", Path: "/"}} },
	}
	s := newSite(Settings{}, o)
	get := func(query string) *httptest.ResponseRecorder {
		r := request("GET", "http://localhost/routes?"+query)
		r.RemoteAddr = "127.0.0.1:1"
		return serve(s.Private(), r)
	}
	get("url=https://EXAMPLE.com:8443/a/%252e%252e/b%252Fc?x=1")
	get("url=http://example.com&method=post")
	if want := []string{"GET https example.com:8443 /b%2Fc", "POST http example.com /"}; !slices.Equal(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
	if w := get("url=http://example.com/..%252f/x"); w.Code != 200 || !strings.Contains(w.Body.String(), `"status":400`) {
		t.Errorf("a refused path: %d %s", w.Code, w.Body)
	}
	if w := get("url=/x"); w.Code != 400 {
		t.Errorf("no host: %d", w.Code)
	}
	if w := get(""); !strings.Contains(w.Body.String(), `"routes":[{"name":"r"`) {
		t.Errorf("list: %d %s", w.Code, w.Body)
	}
	if w := serve(s.Private(), request("GET", "http://localhost/debug/pprof/")); w.Code != 404 {
		t.Errorf("pprof is %d", w.Code)
	}
}

func TestProfilesAreOnTheAdminListenerOnlyAndOnlyWhenEnabled(t *testing.T) { // B2
	t.Parallel()
	s := newSite(Settings{}, Options{})
	local := func(path string) *http.Request {
		r := request("GET", "http://localhost:9902"+path)
		r.RemoteAddr = "127.0.0.1:5000"
		return r
	}
	if w := serve(s.Private(), local("/debug/pprof/heap")); w.Code != 404 {
		t.Errorf("off: %d", w.Code)
	}
	s.Set(Settings{Monitoring: config.Monitoring{EnablePprof: true}})
	for path, code := range map[string]int{
		"/debug/pprof/": 200, "/debug/pprof/heap": 200, "/debug/pprof/goroutine?debug=1": 200,
		"/debug/pprof/cmdline": 404, "/debug/pprof/heap/x": 404, "/debug/pprof": 404, "/debug/": 404,
	} {
		if w := serve(s.Private(), local(path)); w.Code != code {
			t.Errorf("%s: %d, want %d", path, w.Code, code)
		}
	}
	if w := serve(s.Private(), request("GET", "http://10.0.0.1:9902/debug/pprof/heap")); w.Code != 403 {
		t.Errorf("a stranger got %d", w.Code)
	}
	s.route = "/*"
	if w := s.public(local("/debug/pprof/heap")); w.Body.String() != "route" {
		t.Errorf("on an entry point: %d %s", w.Code, w.Body)
	}
}

func TestTheChecksumTellsConfigurationsApartAndNothingOfSecrets(t *testing.T) { // B2, C8
	t.Parallel()
	cfg := &config.Config{Gateway: &config.Gateway{Reload: config.Reload{Token: "one"}}}
	s := newSite(Settings{}, Options{Config: func() *config.Config { return cfg }})
	sum := func() string {
		r := request("GET", "http://localhost/config")
		r.RemoteAddr = "127.0.0.1:1"
		var body struct{ Checksum string }
		if err := json.Unmarshal(serve(s.Private(), r).Body.Bytes(), &body); err != nil || body.Checksum == "" {
			t.Fatal(body, err)
		}
		return body.Checksum
	}
	first := sum()
	cfg.Gateway.Reload.Token = "two"
	if again := sum(); again != first {
		t.Error("the checksum depends on a secret, which could be guessed by it")
	}
	cfg.Routes = []*config.Route{{Name: "r"}}
	if other := sum(); other == first {
		t.Error("another configuration has the same checksum")
	}
}
