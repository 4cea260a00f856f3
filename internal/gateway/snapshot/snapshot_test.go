// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/observe"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

// bench is a compiler whose backends answer with the name of the route.
type bench struct {
	t        *testing.T
	live     *Live
	compiler *Compiler
	pool     *pool.Pool
	problems []config.Problem

	// built and released count the backends of each route.
	mu              sync.Mutex
	built, released map[string]int
	// backend, where set, replaces what a route ends in.
	backend map[string]func(*config.Route) (Backend, []config.Problem)
}

func newBench(t *testing.T) *bench {
	b := &bench{
		t: t, live: &Live{}, pool: pool.New(), built: map[string]int{}, released: map[string]int{},
		backend: map[string]func(*config.Route) (Backend, []config.Problem){},
	}
	b.compiler = NewCompiler(Options{
		Pool: b.pool, Metrics: observe.NewMetrics(), Backends: b.makeBackend,
		Endpoints: [endpointCount]http.Handler{Metrics: say("metrics"), RouteHealth: say("health")},
	})
	b.live.Complete()
	t.Cleanup(func() {
		b.live.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		for name, n := range b.built {
			if b.released[name] != n {
				t.Errorf("route %s: %d backends were made and %d released", name, n, b.released[name])
			}
		}
		if n := b.pool.Len(); n != 0 {
			t.Errorf("%d values are left in the pool", n)
		}
	})
	return b
}

func say(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
}

func (b *bench) makeBackend(r *config.Route) (Backend, []config.Problem) {
	if custom := b.backend[r.Name]; custom != nil {
		return custom(r)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.built[r.Name]++
	return Backend{Handler: say(r.Name), Release: func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.released[r.Name]++
	}}, nil
}

func (b *bench) count(name string) (built, released int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.built[name], b.released[name]
}

// apply compiles and swaps.
func (b *bench) apply(cfg *config.Config) *Snapshot {
	b.t.Helper()
	next, problems := b.compiler.Compile(b.live.Current(), cfg)
	b.live.Swap(next)
	b.problems = problems
	return next
}

func (b *bench) reasons() []string {
	var list []string
	for _, p := range b.problems {
		list = append(list, fmt.Sprintf("%s %s %s", p.Object, p.Field, p.Reason))
	}
	return list
}

// do sends a request through the live snapshot.
func (b *bench) do(method, target string, edit ...func(*http.Request)) (*httptest.ResponseRecorder, *exchange.Exchange) {
	r := httptest.NewRequest(method, target, nil)
	for _, e := range edit {
		e(r)
	}
	x := &exchange.Exchange{Path: r.URL.EscapedPath(), Host: r.Host, Scheme: "http"}
	w := httptest.NewRecorder()
	b.live.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
	return w, x
}

func (b *bench) expect(method, target string, code int, body string, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	b.t.Helper()
	w, _ := b.do(method, target, edit...)
	if w.Code != code || !strings.Contains(w.Body.String(), body) {
		b.t.Errorf("%s %s: %d %q, want %d %q", method, target, w.Code, w.Body, code, body)
	}
	return w
}

func cfg(routes ...*config.Route) *config.Config {
	return &config.Config{Gateway: &config.Gateway{}, Routes: routes}
}

func newRoute(name, path string, middlewares ...string) *config.Route {
	return &config.Route{Name: name, Path: path, Target: "http://b:80", Middlewares: middlewares}
}

func newMiddleware(name, kind, rule string) *config.Middleware {
	return &config.Middleware{Name: name, Type: kind, Rule: json.RawMessage(rule)}
}

func TestRequestsGoToTheirRoutes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	off := false
	disabled := newRoute("off", "/off")
	disabled.Enabled = &off
	post := newRoute("post", "/form")
	post.Methods = []string{"POST"}
	port := newRoute("port", "/p")
	port.Hosts = []string{"h:80"}
	b.apply(cfg(newRoute("a", "/a"), disabled, post, port))
	b.expect("GET", "http://h/a/x", 200, "a")
	b.expect("GET", "http://h/off", 404, "404 page not found\n")
	b.expect("POST", "http://h/form", 200, "post")
	b.expect("GET", "http://h/p", 200, "port") // the port that http implies
	if w := b.expect("PUT", "http://h/form", 405, "405 PUT method not allowed"); w.Header().Get("Allow") != "POST" {
		t.Errorf("Allow %q", w.Header().Get("Allow"))
	}
	_, x := b.do("GET", "http://h/a")
	if x.Route != "a" || x.Meter == nil {
		t.Errorf("exchange %+v", x)
	}
	if _, x := b.do("GET", "http://h/none"); x.Reason != "no_route" {
		t.Errorf("reason %q", x.Reason)
	}
}

func TestBeforeEverythingHasArrivedNothingIsA404(t *testing.T) { // B1
	t.Parallel()
	b := newBench(t)
	b.live.complete.Store(false)
	b.expect("GET", "http://h/x", 503, "starting")
	b.apply(cfg(newRoute("a", "/a")))
	b.expect("GET", "http://h/a", 200, "a")
	b.expect("GET", "http://h/x", 503, "starting")
	b.live.Complete()
	b.expect("GET", "http://h/x", 404, "")
}

func TestARouteWhoseMiddlewareIsMissingOrInvalidAnswers503(t *testing.T) { // M2
	t.Parallel()
	b := newBench(t)
	c := cfg(newRoute("good", "/good", "headers"), newRoute("missing", "/missing", "headers", "nobody"),
		newRoute("unknown", "/unknown", "strange"), newRoute("broken", "/broken", "broken"))
	c.Middlewares = []*config.Middleware{
		newMiddleware("headers", "requestHeaders", `{"setHeaders":{"X-A":"1"}}`),
		newMiddleware("strange", "noSuchType", `{}`),
		newMiddleware("broken", "requestHeaders", `{"setHeaders":[1]}`),
	}
	b.apply(c)
	b.expect("GET", "http://h/good", 200, "good")
	b.expect("GET", "http://h/missing", 503, "middleware nobody is missing")
	b.expect("GET", "http://h/unknown", 503, "middleware strange cannot be used")
	b.expect("GET", "http://h/broken", 503, "middleware broken cannot be used")
	for _, want := range []string{
		"Route missing middlewares[1] MiddlewareNotFound", "Route unknown middlewares[0] MiddlewareInvalid",
		"Route broken middlewares[0] MiddlewareInvalid", "Middleware strange type Invalid",
	} {
		if !slices.Contains(b.reasons(), want) {
			t.Errorf("no problem %q in %q", want, b.reasons())
		}
	}
	c2 := *c
	c2.Middlewares = append(slices.Clone(c.Middlewares), newMiddleware("nobody", "requestHeaders", `{"setHeaders":{"X-B":"1"}}`))
	b.apply(&c2)
	b.expect("GET", "http://h/missing", 200, "missing")
	if built, _ := b.count("good"); built != 1 {
		t.Errorf("the repair of one route built another one %d times", built)
	}
}

func TestDefaultMiddlewaresComeFirstAndOnce(t *testing.T) { // D3
	t.Parallel()
	b := newBench(t)
	c := cfg(newRoute("a", "/a", "x"), newRoute("b", "/b"))
	c.Gateway.Defaults.Middlewares = []string{"x", "gone", "x"}
	c.Middlewares = []*config.Middleware{newMiddleware("x", "requestHeaders", `{"setHeaders":{"X-A":"1"}}`)}
	for range 2 { // compiling again appends nothing
		s := b.apply(c)
		if names := s.units[0].chain.names; !slices.Equal(names, []string{"gone", "x"}) {
			t.Errorf("a has %v", names)
		}
		if names := s.units[1].chain.names; !slices.Equal(names, []string{"x", "gone"}) {
			t.Errorf("b has %v", names)
		}
	}
	b.expect("GET", "http://h/a", 503, "middleware gone is missing")
	if !slices.Contains(b.reasons(), "Route b gateway.defaults.middlewares MiddlewareNotFound") {
		t.Errorf("problems %q", b.reasons())
	}
}

func TestAnInvalidRouteIsSetAsideAndTheOthersServe(t *testing.T) { // C4, C10
	t.Parallel()
	b := newBench(t)
	b.backend["panics"] = func(*config.Route) (Backend, []config.Problem) { panic("boom") }
	b.backend["refused"] = func(*config.Route) (Backend, []config.Problem) {
		return Backend{}, []config.Problem{{Field: "target", Reason: config.ReasonInvalid, Message: "no"}}
	}
	b.backend["no-ca"] = func(*config.Route) (Backend, []config.Problem) {
		return Backend{}, []config.Problem{{Field: "security.tls.rootCAs", Reason: config.ReasonSecretNotFound, Message: "there is no file /ca"}}
	}
	for range 2 { // and later reloads work
		b.apply(cfg(newRoute("a", "/a"), newRoute("panics", "/panics"), newRoute("path", "/x/{id}.json"),
			newRoute("refused", "/refused"), newRoute("no-ca", "/no-ca"), newRoute("z", "/z")))
		b.expect("GET", "http://h/a", 200, "a")
		b.expect("GET", "http://h/z", 200, "z")
		b.expect("GET", "http://h/panics", 404, "")
		b.expect("GET", "http://h/refused", 404, "")
		b.expect("GET", "http://h/no-ca", 503, "there is no file /ca")
		want := []string{
			"Route panics  Invalid", "Route path path Invalid", "Route refused target Invalid", "Route no-ca security.tls.rootCAs SecretNotFound",
		}
		if !slices.Equal(b.reasons(), want) {
			t.Errorf("problems %q, want %q", b.reasons(), want)
		}
	}
}

func TestMaintenanceAnswersForTheBackend(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := newRoute("a", "/a")
	r.Methods = []string{"GET"}
	r.Maintenance = &config.Maintenance{Enabled: true}
	own := newRoute("b", "/b")
	own.Maintenance = &config.Maintenance{Enabled: true, StatusCode: 418, Message: "back soon"}
	b.apply(cfg(r, own))
	b.expect("GET", "http://h/a", 503, "503 Service temporarily unavailable")
	b.expect("DELETE", "http://h/a", 503, "")
	b.expect("GET", "http://h/b", 418, "back soon")
}

func TestConflictsAreProblemsOfTheYoungerRoute(t *testing.T) { // R2
	t.Parallel()
	b := newBench(t)
	old, young := newRoute("old", "/x"), newRoute("young", "/x")
	old.Meta.Created, young.Meta.Created = time.Unix(1, 0), time.Unix(2, 0)
	b.apply(cfg(young, old))
	b.expect("GET", "http://h/x", 200, "old")
	if want := []string{"Route young path Conflicted"}; !slices.Equal(b.reasons(), want) || !config.HasErrors(b.problems) ||
		!strings.Contains(b.problems[0].Message, `"old"`) {
		t.Errorf("problems %v", b.problems)
	}
	young.Priority = 0
	higher := *old
	higher.Priority = 5
	b.apply(cfg(young, &higher))
	if len(b.problems) != 1 || b.problems[0].Severity != config.SeverityWarning {
		t.Errorf("problems %v", b.problems)
	}
}

func TestMetricsAreClosedWhenTheirGuardIsMissing(t *testing.T) { // M1, M2
	t.Parallel()
	b := newBench(t)
	ask := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		b.live.Endpoint(Metrics).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return w
	}
	if w := ask(); w.Code != 503 {
		t.Errorf("before the first configuration: %d", w.Code)
	}
	c := cfg()
	c.Gateway.Monitoring.Middleware.Metrics = []string{"guard"}
	b.apply(c)
	if w := ask(); w.Code != 503 || strings.Contains(w.Body.String(), "metrics\n") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if want := []string{"Gateway gateway.monitoring.middleware.metrics[0] MiddlewareNotFound"}; !slices.Equal(b.reasons(), want) {
		t.Errorf("problems %q", b.reasons())
	}
	c2 := *c
	c2.Middlewares = []*config.Middleware{newMiddleware("guard", "requestHeaders", `{"setHeaders":{"X-A":"1"}}`)}
	b.apply(&c2)
	if w := ask(); w.Code != 200 || w.Body.String() != "metrics" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestAMeterOutlivesAnEditAndGoesWithItsRoute(t *testing.T) { // D3, B3
	t.Parallel()
	b := newBench(t)
	b.apply(cfg(newRoute("a", "/a")))
	_, x := b.do("GET", "http://h/a")
	edited := newRoute("a", "/a")
	edited.Rewrite = "/x"
	b.apply(cfg(edited))
	if _, y := b.do("GET", "http://h/a"); x.Meter == nil || x.Meter != y.Meter {
		t.Error("the meter was lost")
	}
	silent := newRoute("a", "/a")
	silent.DisableMetrics = true
	b.apply(cfg(silent))
	if _, y := b.do("GET", "http://h/a"); y.Meter != nil {
		t.Error("a route with disableMetrics is counted")
	}
	if b.pool.Len() != 0 {
		t.Error("the meter of no route is kept")
	}
}
