// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"slices"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/waf"
	"gateway.jkaninda.dev/goma/internal/gateway/observe"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
)

// meterKey names the meter of a route in the pool: it outlives the chain, so that
// an edit does not set counters back.
type meterKey struct{ route string }

// defaultsField names the middlewares that every route gets.
const defaultsField = "gateway.defaults.middlewares"

// builder makes one chain.
type builder struct {
	o Options
	*chain
	info middleware.RouteInfo
	// object is what problems are about.
	object config.ObjectRef
	// fieldOf tells where the name of a middleware is written.
	fieldOf func(name string) string
}

// build makes the chain of a route. It never fails: what cannot be built is a
// chain with a fault, or an invalid one.
func build(o Options, r *config.Route, names []string, deps *steps, certFault string) *chain {
	b := &builder{
		o: o, chain: &chain{route: r, names: names, certFault: certFault},
		info: middleware.RouteInfo{
			Name: r.Name, Path: r.Path, Target: target(r), Hosts: r.Hosts, Methods: r.Methods,
		},
		object: RefOf(r),
	}
	b.fieldOf = func(name string) string {
		if i := slices.Index(r.Middlewares, name); i >= 0 {
			return fmt.Sprintf("middlewares[%d]", i)
		}
		return defaultsField
	}
	for _, name := range names {
		b.deps = append(b.deps, deps.get(name))
	}
	b.safely(b.buildRoute)
	return b.chain
}

// safely turns a panic into a problem of the object at hand. C10
func (b *builder) safely(do func()) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		b.o.Logger.Error("panic while compiling", "object", b.object.String(), "err", fmt.Sprint(p), "stack", string(debug.Stack()))
		b.problem(config.ReasonInvalid, "", fmt.Sprintf("compiling it made the gateway panic, which is a bug: %v", p))
		b.invalid = true
		b.handler = unavailable("503 the route cannot be compiled")
	}()
	do()
}

func target(r *config.Route) string {
	if len(r.Backends) > 0 {
		return r.Backends[0].Endpoint
	}
	return r.Target
}

// buildRoute puts the handlers in front of each other, the last one first.
func (b *builder) buildRoute() {
	r := b.route
	core := b.backend()
	if b.certFault != "" {
		b.failClosed(b.certFault)
	}
	b.misses()
	list := append(legacySteps(b), b.deps...)
	core = b.wrap(core, list, middleware.Inner)
	core = b.wrap(core, list, middleware.Chain)
	if r.Security != nil && r.Security.EnableExploitProtection {
		core = b.firewall(core)
	}
	if b.fault != "" {
		core = b.closed()
	}
	if len(list) > 0 || b.fault != "" || b.invalid || guarded(r) {
		b.direct = nil
	}
	core = checkMethod(core)
	if r.Maintenance != nil && r.Maintenance.Enabled {
		core = maintenance(r.Maintenance)
	}
	b.handler = b.authenticate(b.wrap(core, bySpecificity(list), middleware.Outer))
	b.counted()
}

// guarded tells that something of the route itself stands in front of its backend.
func guarded(r *config.Route) bool {
	return r.Security != nil && r.Security.EnableExploitProtection || r.Maintenance != nil && r.Maintenance.Enabled ||
		r.TLS != nil && r.TLS.ClientAuth != nil
}

// closed is the handler of a chain with a fault.
func (b *builder) closed() http.Handler {
	return unavailable("503 " + b.info.Name + " is not available: " + b.fault)
}

// backend makes the handler that goes to the backends. Files are noted before
// they are read, so that a change in between is seen as one.
func (b *builder) backend() http.Handler {
	if s := b.route.Security; s != nil && s.TLS != nil {
		b.dependOn(s.TLS.RootCAs, s.TLS.ClientCert, s.TLS.ClientKey.Reveal())
	}
	if p := b.o.refused(b.route, backendFiles(b.route)); p != nil {
		b.report(*p)
		b.failClosed(p.Field + " " + p.Message)
		return b.closed()
	}
	if b.o.Backends == nil {
		b.missingFiles()
		return http.NotFoundHandler()
	}
	backend, problems := b.o.Backends(b.route)
	for _, p := range problems {
		b.report(p)
		switch {
		case p.Severity != config.SeverityError:
		case p.Reason == config.ReasonInvalid:
			b.invalid = true
		default:
			b.failClosed(p.Message)
		}
	}
	if backend.Release != nil {
		b.life.hold(backend.Release)
	}
	b.dependOn(backend.Files...)
	if backend.Handler == nil {
		b.failClosed("it has no backend")
		return b.closed()
	}
	b.direct = backend.Direct
	return backend.Handler
}

// missingFiles stands in for the checks of a backend that is not made.
func (b *builder) missingFiles() {
	for _, f := range b.files {
		if f.identity == (source.Identity{}) {
			b.problem(config.ReasonSecretNotFound, "security.tls", "there is no file "+f.path)
			b.failClosed("file " + f.path + " is missing")
		}
	}
}

// dependOn notes the files whose change makes another chain. What is given in
// place is no file.
func (b *builder) dependOn(values ...string) {
	for _, path := range values {
		known := slices.ContainsFunc(b.files, func(d dependency) bool { return d.path == path })
		if filepath.IsAbs(path) && len(path) < maxPathBytes && !known {
			b.files = append(b.files, dependency{path, source.Identify(path)})
		}
	}
}

const maxPathBytes = 4096

// misses reports the middlewares that are missing or cannot be used.
func (b *builder) misses() {
	for i, s := range b.deps {
		field := b.fieldOf(b.names[i])
		switch {
		case s == nil:
			b.problem(config.ReasonMiddlewareNotFound, field,
				fmt.Sprintf("there is no middleware %q; add it, or take its name from the list", b.names[i]))
			b.failClosed(fmt.Sprintf("middleware %s is missing", b.names[i]))
		case s.fault != "":
			b.problem(config.ReasonMiddlewareInvalid, field,
				fmt.Sprintf("middleware %q cannot be used: %s", b.names[i], s.fault))
			b.failClosed(fmt.Sprintf("middleware %s cannot be used", b.names[i]))
		}
	}
}

// wrap puts the steps of one phase around next, the first of the list outermost.
func (b *builder) wrap(next http.Handler, list []*step, phase middleware.Phase) http.Handler {
	for i := len(list) - 1; i >= 0; i-- {
		s := list[i]
		if s == nil || s.rule == nil || s.kind.Phase != phase {
			continue
		}
		h, err := s.rule.Handler(b.forMiddleware(s.source.Name, s.source.Paths), next)
		if err != nil {
			b.problem(config.ReasonMiddlewareInvalid, b.fieldOf(s.source.Name),
				fmt.Sprintf("middleware %q cannot be used here: %v", s.source.Name, err))
			b.failClosed(fmt.Sprintf("middleware %s cannot be used", s.source.Name))
			// Whatever stands outside of it, nothing gets past here.
			h = b.closed()
		}
		next = h
	}
	return next
}

// firewall is the waf middleware at its default.
func (b *builder) firewall(next http.Handler) http.Handler {
	h, err := waf.Default().Handler(b.forMiddleware(b.route.Name+".enableExploitProtection", nil), next)
	if err != nil {
		b.problem(config.ReasonInvalid, "security.enableExploitProtection", err.Error())
		b.failClosed("its firewall cannot be loaded")
		return b.closed()
	}
	return h
}

// forMiddleware is what a middleware may use.
func (b *builder) forMiddleware(name string, paths []string) middleware.Build {
	return middleware.Build{
		Name: name, Paths: paths, Route: b.info, Pool: b.o.Pool, Track: b.life.hold,
		Logger: b.o.Logger, Version: b.o.Version, Store: b.o.Store, Counters: b.o.Counters,
		GeoDatabase: b.o.GeoDatabase, FilesDir: b.o.FilesDir, FilesHere: b.o.FilesHere, CheckOnly: b.o.Backends == nil,
		DependOn: func(path string) { b.dependOn(path) },
	}
}

// bySpecificity orders the steps of the outer phase: the one with the longest path
// comes first, so that it edits a head last and its word counts.
func bySpecificity(list []*step) []*step {
	length := func(s *step) int {
		if s == nil || len(s.source.Paths) == 0 {
			return 0
		}
		return len(s.source.Paths[0])
	}
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b *step) int { return length(b) - length(a) })
	return out
}

// counted gives the route its meter.
func (b *builder) counted() {
	if b.o.Metrics == nil || b.route.DisableMetrics {
		return
	}
	meter, release, err := pool.Get(b.o.Pool, meterKey{b.route.Name}, func() (*observe.RouteMeter, error) {
		return b.o.Metrics.Route(b.route.Name), nil
	})
	if err == nil {
		b.meter = meter
		b.life.hold(release)
	}
}

// failClosed keeps the first reason to answer 503.
func (b *builder) failClosed(why string) {
	if b.fault == "" {
		b.fault = why
	}
}

func (b *builder) problem(reason config.Reason, field, message string) {
	b.report(config.Problem{Field: field, Reason: reason, Message: message})
}

// report adds a problem of the object at hand. Where it is written is told later,
// since the object may move while the chain stays.
func (b *builder) report(p config.Problem) {
	if p.Object == (config.ObjectRef{}) {
		p.Object = b.object
	}
	b.problems = append(b.problems, p)
}
