// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/certs"
	"gateway.jkaninda.dev/goma/internal/gateway/counter"
	"gateway.jkaninda.dev/goma/internal/gateway/downstream"
	"gateway.jkaninda.dev/goma/internal/gateway/observe"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/route"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
	"gateway.jkaninda.dev/goma/internal/gateway/store"
)

// Backend is what a route's chain ends in.
type Backend struct {
	// Handler takes the request to a backend; nil when that is impossible.
	Handler http.Handler
	// Direct, if set, does the same for a client's own connection; see
	// proxy.Handler.
	Direct func(s *downstream.Stream, query string, asked bool) (served bool, other http.Handler)
	// Release, if set, is called when no request uses the handler any more.
	Release func()
	// Files are those whose change makes another Backend of the same route.
	Files []string
}

// Options are what a compiler works with. Everything but Pool may be missing.
type Options struct {
	// Backends makes the end of a route's chain, without connecting to anything.
	// A problem with ReasonInvalid sets the route aside, any other error makes
	// it answer 503. Without Backends, Compile only checks.
	Backends func(*config.Route) (Backend, []config.Problem)
	Pool     *pool.Pool
	Metrics  *observe.Metrics
	// Endpoints are the built-in endpoints that middlewares guard.
	Endpoints [endpointCount]http.Handler
	Logger    *slog.Logger
	Version   string
	// Store, Counters, GeoDatabase, FilesDir and FilesHere are for middlewares; see
	// middleware.Build.
	Store       store.Store
	Counters    *counter.Set
	GeoDatabase string
	FilesDir    string
	FilesHere   bool
	// RouteFiles is the directory of which, beside FilesDir, routes of a cluster may
	// name files. Those of other sources of others may name files of FilesDir only.
	RouteFiles string
	// SecretsDir has the values of the Secrets that middlewares name, each as a file
	// NAME/KEY; empty where there are none.
	SecretsDir string
}

// Compiler makes Snapshots.
type Compiler struct{ o Options }

// NewCompiler checks nothing and starts nothing.
func NewCompiler(o Options) *Compiler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Compiler{o}
}

// Compile makes the Snapshot of cfg. What it has in common with prev, which may
// be nil, is taken over. The problems are all there are, in the order of the
// objects; none of them keeps the Snapshot from being used. The Snapshot is either
// given to Live.Swap or discarded, before the next one is compiled.
func (c *Compiler) Compile(prev *Snapshot, cfg *config.Config) (*Snapshot, []config.Problem) {
	if prev == nil {
		prev = &Snapshot{config: &config.Config{}, table: &route.Table{}}
	}
	run := &run{o: c.o, prev: prev, next: &Snapshot{config: cfg}, identities: map[string]source.Identity{}}
	if cfg.Gateway != nil {
		run.defaults = cfg.Gateway.Defaults.Middlewares
	}
	run.next.steps = parseSteps(&c.o, prev.steps, cfg.Middlewares, run.identify)
	run.certificates()
	run.routes()
	run.next.authorities = newAuthorities(run.next.units)
	run.endpoints()
	run.next.changed = len(run.next.entering)+len(run.next.leaving) > 0 ||
		run.next.steps != prev.steps || run.next.certs != prev.certs ||
		!slices.Equal(run.next.table.Entries(), prev.table.Entries())
	return run.next, run.problems()
}

// Discard lets go of a Snapshot that is not going to serve.
func (s *Snapshot) Discard() {
	for _, c := range s.entering {
		c.life.retire()
	}
}

// unit is a route of the Config in compiled form.
type unit struct {
	route *config.Route
	// entry is nil for a route that was set aside.
	entry *route.Entry
	chain *chain
	// problems are about the route as such; the chain has its own.
	problems []config.Problem
}

// run is one Compile.
type run struct {
	o          Options
	prev, next *Snapshot
	defaults   []string
	identities map[string]source.Identity

	certProblems []config.Problem
	// certFaults tells which routes have no certificate, and why.
	certFaults map[config.ObjectRef]string
	conflicts  []route.Conflict
}

// certificates makes the set of certificates and notes which routes lack theirs.
func (r *run) certificates() {
	src := certs.Source{}
	if g := r.next.config.Gateway; g != nil && g.TLS != nil {
		src.CertsDir, src.Certificates, src.Default = g.TLS.CertsDir, g.TLS.Certificates, g.TLS.Default
	}
	for _, x := range r.next.config.Routes {
		if x.TLS == nil || !enabled(x) {
			continue
		}
		for _, c := range routeCerts(x) {
			if p := r.o.refused(x, certificateFiles(c.Field, c.Cert)); p != nil {
				r.certProblems = append(r.certProblems, *p)
				continue
			}
			src.Routes = append(src.Routes, c)
		}
	}
	var found []config.Problem
	r.next.certs, found = certs.Build(r.prev.certs, src)
	r.certProblems = append(r.certProblems, found...)
	r.certFaults = map[config.ObjectRef]string{}
	for _, p := range r.certProblems {
		if p.Object.Kind == "Route" && p.Severity == config.SeverityError {
			r.certFaults[p.Object] = p.Message
		}
	}
}

// routeCerts are the certificates that a route brings, in both spellings.
func routeCerts(x *config.Route) (list []certs.RouteCert) {
	if c := x.TLS.Certificate; c != nil {
		list = append(list, certs.RouteCert{Ref: RefOf(x), Field: "tls.certificate", Hosts: x.Hosts, Cert: *c})
	}
	for i, c := range x.TLS.Certificates {
		list = append(list, certs.RouteCert{Ref: RefOf(x), Field: fmt.Sprintf("tls.certificates[%d]", i), Hosts: x.Hosts, Cert: c})
	}
	return list
}

func enabled(x *config.Route) bool { return x.Enabled == nil || *x.Enabled }

// identify looks at a file once per Compile.
func (r *run) identify(path string) source.Identity {
	id, ok := r.identities[path]
	if !ok {
		id = source.Identify(path)
		r.identities[path] = id
	}
	return id
}

// routes compiles what has changed, and makes the table. Routes at the beginning
// and the end of the list that are the same objects as before need no looking up.
func (r *run) routes() {
	old, now := r.prev.units, enabledRoutes(r.next.config.Routes)
	r.next.units = make([]*unit, 0, len(now))
	head := 0
	for head < min(len(old), len(now)) && old[head].route == now[head] {
		head++
	}
	tail := 0
	for tail < min(len(old), len(now))-head && old[len(old)-1-tail].route == now[len(now)-1-tail] {
		tail++
	}
	for k := range head {
		r.take(old[k], now[k])
	}
	r.middle(old[head:len(old)-tail], now[head:len(now)-tail])
	for k := tail; k > 0; k-- {
		r.take(old[len(old)-k], now[len(now)-k])
	}
	entries := make([]*route.Entry, 0, len(r.next.units))
	for _, u := range r.next.units {
		if u.entry != nil {
			entries = append(entries, u.entry)
		}
	}
	r.next.table, r.conflicts = route.Build(r.prev.table, entries)
}

func enabledRoutes(list []*config.Route) []*config.Route {
	on := make([]*config.Route, 0, len(list))
	for _, x := range list {
		if enabled(x) {
			on = append(on, x)
		}
	}
	return on
}

// middle finds the units of routes by name.
func (r *run) middle(old []*unit, now []*config.Route) {
	byName := make(map[string]*unit, len(old))
	for _, u := range old {
		byName[u.route.Name] = u
	}
	for _, x := range now {
		r.take(byName[x.Name], x)
		delete(byName, x.Name)
	}
	for _, u := range old {
		if byName[u.route.Name] == u {
			r.next.leaving = append(r.next.leaving, u.chain)
		}
	}
}

// take adds the unit of a route: the one before, which may be nil, if it still
// is what it would be, or a new one in its place.
func (r *run) take(before *unit, x *config.Route) {
	names, certFault := r.chainNames(x), ""
	if len(r.certFaults) > 0 {
		certFault = r.certFaults[RefOf(x)]
	}
	if before != nil && (before.route == x || sameRoute(before.route, x)) &&
		before.chain.fresh(names, r.next.steps, certFault, r.identify) {
		r.next.units = append(r.next.units, before.moved(x))
		return
	}
	if before != nil {
		r.next.leaving = append(r.next.leaving, before.chain)
	}
	u := r.make(x, names, certFault)
	r.next.units = append(r.next.units, u)
	r.next.entering = append(r.next.entering, u.chain)
}

// make compiles a route.
func (r *run) make(x *config.Route, names []string, certFault string) *unit {
	u := &unit{route: x, chain: build(r.o, x, names, r.next.steps, certFault)}
	entry, problems := route.New(x, u.chain)
	for i := range problems {
		problems[i].Object = RefOf(x)
	}
	u.problems = problems
	if !u.chain.invalid {
		u.entry = entry
	}
	return u
}

// moved gives the unit for an equal route that may have come from elsewhere.
func (u *unit) moved(x *config.Route) *unit {
	if u.route == x {
		return u
	}
	next := &unit{route: x, chain: u.chain, entry: u.entry, problems: u.problems}
	if u.entry != nil && !u.route.Meta.Created.Equal(x.Meta.Created) {
		next.entry = u.entry.With(x, u.chain)
	}
	return next
}

// sameRoute compares everything but where the objects came from.
func sameRoute(a, b *config.Route) bool {
	x, y := *a, *b
	x.Meta, y.Meta = config.Meta{}, config.Meta{}
	return reflect.DeepEqual(x, y)
}

// chainNames are the middlewares of a route: the defaults that it does not name
// itself, then its own.
func (r *run) chainNames(x *config.Route) []string {
	if len(r.defaults) == 0 {
		return x.Middlewares
	}
	var names []string
	for _, name := range r.defaults {
		if !slices.Contains(x.Middlewares, name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return append(names, x.Middlewares...)
}

// problems lists everything that is wrong: certificates, middlewares, routes,
// conflicts, endpoints.
func (r *run) problems() []config.Problem {
	list := r.located(r.certProblems)
	for i, s := range r.next.steps.list {
		list = s.addProblems(list, r.next.config.Middlewares[i])
	}
	for _, u := range r.next.units {
		list = append(list, u.located(r.next.config, u.problems)...)
		list = append(list, u.located(r.next.config, u.chain.problems)...)
	}
	for _, c := range r.conflicts {
		list = append(list, r.conflict(c))
	}
	for _, c := range r.next.endpoints {
		list = append(list, r.located(c.problems)...)
	}
	return config.Bound(list)
}

// located says of problems of the settings, and of routes, where they are written.
func (r *run) located(problems []config.Problem) []config.Problem {
	list := slices.Clone(problems)
	places := map[config.ObjectRef]func(string) config.Position{}
	if len(list) > 0 {
		for _, x := range r.next.config.Routes {
			places[RefOf(x)] = x.Meta.Place
		}
	}
	for i, p := range list {
		place, ok := places[p.Object]
		if !ok {
			place = r.next.config.Place
		}
		list[i].Position = place(p.Field)
	}
	return list
}

// located says of the route's problems where they are written now, which may be
// elsewhere than when it was compiled. The name of a middleware that every route
// gets stands in the settings.
func (u *unit) located(cfg *config.Config, problems []config.Problem) []config.Problem {
	list := slices.Clone(problems)
	for i, p := range list {
		switch {
		case p.Object.Kind != "Route":
		case p.Field == defaultsField:
			list[i].Object, list[i].Position = RefOf(u.route), cfg.Place(p.Field)
		default:
			list[i].Object, list[i].Position = RefOf(u.route), u.route.Meta.Place(p.Field)
		}
	}
	return list
}

// addProblems says of a middleware's problems where they are written now.
func (s *step) addProblems(list []config.Problem, m *config.Middleware) []config.Problem {
	for _, p := range s.problems {
		p.Position = m.Meta.Place(p.Field)
		list = append(list, p)
	}
	return list
}

// RefOf completes the reference that the source gave.
func RefOf(x *config.Route) config.ObjectRef {
	ref := x.Meta.Ref
	if ref.Kind == "" {
		ref.Kind = "Route"
	}
	if ref.Name == "" {
		ref.Name = x.Name
	}
	return ref
}

// conflict reports the loser. One that still serves at another host is only
// warned, and so is one that its user has ranked lower.
func (r *run) conflict(c route.Conflict) config.Problem {
	loser := r.next.routeOf(c.Loser)
	p := config.Problem{Object: RefOf(loser), Position: loser.Meta.Place("path"), Field: "path", Reason: config.ReasonConflicted}
	why := "is older or listed first"
	if c.Outranked {
		why = "has the higher priority"
	}
	p.Message = fmt.Sprintf("route %q has the same host %s, path %s and methods, and %s, so it serves; change one of them",
		c.Winner.Name, c.Host, c.Loser.Path, why)
	if c.Outranked || !c.Entirely {
		p.Severity = config.SeverityWarning
	}
	return p
}

// routeOf gives the route of an entry of the table.
func (s *Snapshot) routeOf(e *route.Entry) *config.Route {
	for _, u := range s.units {
		if u.entry == e {
			return u.route
		}
	}
	return &config.Route{Name: e.Name}
}
