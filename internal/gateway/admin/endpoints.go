// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// Paths of the endpoints that have a fixed one, and defaults of the others.
const (
	healthPath         = "/healthz"
	readyPath          = "/readyz"
	routeHealthPath    = "/healthz/routes"
	configPath         = "/config"
	routesPath         = "/routes"
	defaultMetricsPath = "/metrics"
	defaultReloadPath  = "/gateway/reload"
)

// Options are what the endpoints tell about. All fields but Hooks are required.
type Options struct {
	Readiness *Readiness
	// Metrics and RouteHealth answer with the middlewares that guard them.
	Metrics, RouteHealth http.Handler
	// Reload reads everything again and tells how many routes are live.
	Reload func(context.Context) (routes int, err error)
	// Config gives what is live, for the dump.
	Config func() *config.Config
	// Generation is the number of what is live.
	Generation func() uint64
	// Explain tells where a request would go; Routes lists the routes.
	Explain func(method, scheme, host, path string) Explanation
	Routes  func() []RouteInfo
	// Hooks are further endpoints of the admin listener, by path, which guard
	// themselves and take POST.
	Hooks map[string]http.Handler
}

// Settings are what can change while the gateway runs.
type Settings struct {
	Monitoring  config.Monitoring
	Reload      config.Reload
	StrictSlash bool
}

// Endpoints are the built-in endpoints. It is safe for concurrent use.
type Endpoints struct {
	o       Options
	current atomic.Pointer[table]
}

// table is the endpoints by path under one set of settings.
type table struct {
	public, private map[string]*endpoint
	strictSlash     bool
}

// endpoint is one path.
type endpoint struct {
	path    string
	methods []string
	// host restricts the endpoint to a Host; empty is any. It hides, it does
	// not protect.
	host    string
	handler http.Handler
}

// New makes the endpoints with default settings.
func New(o Options) *Endpoints {
	e := &Endpoints{o: o}
	e.Set(Settings{})
	return e
}

// Set changes the settings.
func (e *Endpoints) Set(s Settings) {
	t := &table{public: map[string]*endpoint{}, private: map[string]*endpoint{}, strictSlash: s.StrictSlash}
	read := []string{http.MethodGet, http.MethodHead}
	both := func(p endpoint) {
		inside := p
		inside.host = ""
		t.public[p.path], t.private[p.path] = &p, &inside
	}
	// A probe must never find these hidden, so no setting turns them off.
	both(endpoint{path: healthPath, methods: read, handler: http.HandlerFunc(e.health)})
	both(endpoint{path: readyPath, methods: read, handler: http.HandlerFunc(e.ready)})
	if m := s.Monitoring; m.EnableMetrics {
		both(endpoint{path: cleanPath(m.MetricsPath, defaultMetricsPath), methods: read, host: m.Host, handler: e.o.Metrics})
	}
	if m := s.Monitoring; m.EnableRouteHealthCheck {
		both(endpoint{path: routeHealthPath, methods: read, host: m.Host, handler: e.o.RouteHealth})
	}
	if s.Reload.Enabled && s.Reload.Token != "" {
		both(endpoint{
			path: cleanPath(s.Reload.Path, defaultReloadPath), methods: []string{http.MethodPost}, host: s.Reload.Host,
			handler: e.reload(s.Reload.Token),
		})
	}
	for path, h := range map[string]http.HandlerFunc{configPath: e.config, routesPath: e.routes} {
		t.private[path] = &endpoint{path: path, methods: read, handler: e.trusted(s.Reload.Token, h)}
	}
	if s.Monitoring.EnablePprof {
		for path, h := range profiles() {
			t.private[path] = &endpoint{path: path, methods: read, handler: e.trusted(s.Reload.Token, h)}
		}
	}
	for path, h := range e.o.Hooks {
		t.private[path] = &endpoint{path: path, methods: []string{http.MethodPost}, handler: h}
	}
	e.current.Store(t)
}

// cleanPath gives a configured path in normal form.
func cleanPath(path, fallback string) string {
	if path == "" {
		return fallback
	}
	clean, err := normal.Path("/" + strings.Trim(path, "/"))
	if err != nil {
		return fallback
	}
	return clean
}

// Claims tells whether one of the endpoints may be meant by a path.
func (e *Endpoints) Claims(path string) bool {
	t := e.current.Load()
	p, _ := t.lookup(t.public, path)
	return p != nil
}

// Public answers the endpoints on an entry point and gives everything else to
// routes. Named gives the path of the route that would serve a request: it comes
// first when it names the endpoint's path exactly, and when the endpoint does not
// take the method.
func (e *Endpoints) Public(named func(*http.Request) (path string, found bool), routes http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := e.current.Load()
		path := exchange.Of(r).Path
		p, slash := t.lookup(t.public, path)
		if p == nil || !p.takesHost(r) {
			routes.ServeHTTP(w, r)
			return
		}
		at, found := named(r)
		switch {
		case found && (slash || at == p.path || !p.takes(r.Method)):
			routes.ServeHTTP(w, r)
		case slash:
			http.Redirect(w, r, p.path, http.StatusMovedPermanently)
		default:
			p.serve(w, r)
		}
	})
}

// Private answers the endpoints on the admin listener, and nothing else.
func (e *Endpoints) Private() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := e.current.Load()
		p, slash := t.lookup(t.private, exchange.Of(r).Path)
		switch {
		case p == nil:
			reply.Error(w, r, http.StatusNotFound, "404 page not found")
		case slash:
			http.Redirect(w, r, p.path, http.StatusMovedPermanently)
		default:
			p.serve(w, r)
		}
	})
}

// lookup finds the endpoint of a path. With strictSlash one more slash finds it
// too, for a redirect to where it is.
func (t *table) lookup(endpoints map[string]*endpoint, path string) (p *endpoint, slash bool) {
	if p, ok := endpoints[path]; ok {
		return p, false
	}
	if t.strictSlash && len(path) > 1 && strings.HasSuffix(path, "/") {
		p = endpoints[path[:len(path)-1]]
	}
	return p, p != nil
}

func (p *endpoint) takes(method string) bool {
	for _, m := range p.methods {
		if m == method {
			return true
		}
	}
	return false
}

func (p *endpoint) takesHost(r *http.Request) bool {
	if p.host == "" {
		return true
	}
	want, err := normal.Host(p.host)
	if err != nil {
		return false
	}
	name, _ := normal.SplitPort(want)
	have, _ := normal.SplitPort(exchange.Of(r).Host)
	return have == name || exchange.Of(r).Host == want
}

func (p *endpoint) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if !p.takes(r.Method) {
		w.Header().Set("Allow", strings.Join(p.methods, ", "))
		reply.Error(w, r, http.StatusMethodNotAllowed, "Method Not Allowed")
		return
	}
	p.handler.ServeHTTP(w, r)
}

// status is the body of the probes.
type status struct {
	Name   string `json:"name"`
	Status string `json:"status"`
	Error  string `json:"error"`
}

const serviceName = "Service Gateway"

// health says that the process answers. It depends on nothing else: restarting
// would not bring a backend or a provider back.
func (e *Endpoints) health(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, r, http.StatusOK, status{Name: serviceName, Status: "running"})
}

func (e *Endpoints) ready(w http.ResponseWriter, r *http.Request) {
	state, reason := e.o.Readiness.State()
	code := http.StatusOK
	if reason != "" {
		code = http.StatusServiceUnavailable
		exchange.Of(r).Reason = state
	}
	writeJSON(w, r, code, status{Name: serviceName, Status: state, Error: reason})
}

// reload answers as the format of the endpoint demands, whatever the client accepts.
func (e *Endpoints) reload(token config.Secret) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		type failure struct {
			Error  string `json:"error"`
			Status string `json:"status"`
		}
		if !bearer(r, token) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeJSON(w, r, http.StatusUnauthorized, failure{Error: "unauthorized", Status: "error"})
			return
		}
		start := time.Now()
		routes, err := e.o.Reload(r.Context())
		if err != nil {
			writeJSON(w, r, http.StatusInternalServerError, failure{Error: err.Error(), Status: "error"})
			return
		}
		writeJSON(w, r, http.StatusOK, struct {
			DurationMs int64  `json:"durationMs"`
			Routes     int    `json:"routes"`
			Status     string `json:"status"`
		}{time.Since(start).Milliseconds(), routes, "ok"})
	})
}

func writeJSON(w http.ResponseWriter, r *http.Request, code int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		reply.Error(w, r, http.StatusInternalServerError, "")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(data, '\n'))
	}
}
