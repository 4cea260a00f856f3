// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// State is the Output of a Gateway, kept up to date object by object: a change
// costs what has changed. It comes to the same as Bundle over the same objects.
// It is not safe for concurrent use.
type State struct {
	gateway     types.NamespacedName
	paths       Paths
	routes      map[string]*routeState
	middlewares map[string]*middlewareState
	monitoring  []resolve.MiddlewareUse
	// users are the Routes that name a Middleware, existing or not.
	users map[string]map[string]struct{}
	// troubled are the Routes with problems of their own.
	troubled map[string]struct{}
	delta    pending
	revision uint64
}

type routeState struct {
	// route is nil when the Route cannot be translated.
	route       *config.Route
	middlewares []resolve.MiddlewareUse
	secrets     []resolve.SecretRef
	problems    []config.Problem
}

type middlewareState struct {
	// middleware is nil when the Middleware cannot be translated.
	middleware *config.Middleware
	secrets    []resolve.SecretRef
	problems   []config.Problem
}

// pending is what the next Delta is about.
type pending struct {
	routes, middlewares map[string]struct{}
	secrets             bool
}

func newPending() pending {
	return pending{routes: map[string]struct{}{}, middlewares: map[string]struct{}{}}
}

// Delta is what has changed in the Bundle.
type Delta struct {
	Routes          []*config.Route
	Middlewares     []*config.Middleware
	GoneRoutes      []string
	GoneMiddlewares []string
	// Secrets says that the list of needed Secrets has changed.
	Secrets bool
}

// Empty tells whether the Bundle is as it was.
func (d Delta) Empty() bool {
	return len(d.Routes)+len(d.Middlewares)+len(d.GoneRoutes)+len(d.GoneMiddlewares) == 0 && !d.Secrets
}

// NewState begins with no objects.
func NewState(gateway types.NamespacedName, paths Paths) *State {
	return &State{
		gateway: gateway, paths: paths,
		routes: map[string]*routeState{}, middlewares: map[string]*middlewareState{},
		users: map[string]map[string]struct{}{}, troubled: map[string]struct{}{}, delta: newPending(),
	}
}

// SetRoute takes a new or changed Route. One that does not belong, or no longer
// belongs, to the Gateway is as good as deleted.
func (s *State) SetRoute(r *v1alpha1.Route) {
	if r.Namespace != s.gateway.Namespace {
		return
	}
	if !resolve.Attached(r, s.gateway) {
		s.DeleteRoute(r.Name)
		return
	}
	refs, problems := resolve.RouteSecrets(r)
	problems = append(problems, durationProblems(r)...)
	next := &routeState{secrets: refs, middlewares: resolve.RouteMiddlewares(r), problems: problems}
	if config.HasErrors(problems) {
		next.secrets = nil
	} else {
		next.route = Route(r, s.paths)
	}
	s.replaceRoute(r.Name, next)
}

// DeleteRoute takes the news that a Route is gone.
func (s *State) DeleteRoute(name string) { s.replaceRoute(name, nil) }

func (s *State) replaceRoute(name string, next *routeState) {
	old := s.routes[name]
	if reflect.DeepEqual(old, next) {
		return
	}
	s.revision++
	if old == nil {
		old = &routeState{}
	}
	if next == nil {
		delete(s.routes, name)
		next = &routeState{}
	} else {
		s.routes[name] = next
	}
	if reflect.DeepEqual(old.route, next.route) {
		next.route = old.route
	} else {
		s.delta.routes[name] = struct{}{}
	}
	if !reflect.DeepEqual(old.secrets, next.secrets) {
		s.delta.secrets = true
	}
	delete(s.troubled, name)
	if len(next.problems) > 0 {
		s.troubled[name] = struct{}{}
	}
	s.replaceUser(name, old.middlewares, next.middlewares)
}

// replaceUser notes which Middlewares a Route names, and marks those that come
// into use by it or fall out of use.
func (s *State) replaceUser(route string, old, next []resolve.MiddlewareUse) {
	before := map[string]bool{}
	for _, u := range slices.Concat(old, next) {
		before[u.Middleware.Name] = s.inUse(u.Middleware.Name)
	}
	for _, u := range old {
		users := s.users[u.Middleware.Name]
		delete(users, route)
		if len(users) == 0 {
			delete(s.users, u.Middleware.Name)
		}
	}
	for _, u := range next {
		name := u.Middleware.Name
		if s.users[name] == nil {
			s.users[name] = map[string]struct{}{}
		}
		s.users[name][route] = struct{}{}
	}
	s.markUse(before)
}

// markUse marks the Middlewares that are in use and were not, or the reverse.
func (s *State) markUse(before map[string]bool) {
	for name, was := range before {
		if was == s.inUse(name) {
			continue
		}
		s.delta.middlewares[name] = struct{}{}
		if m := s.middlewares[name]; m != nil && len(m.secrets) > 0 {
			s.delta.secrets = true
		}
	}
}

func (s *State) inUse(name string) bool {
	return len(s.users[name]) > 0 || slices.ContainsFunc(s.monitoring, func(u resolve.MiddlewareUse) bool {
		return u.Middleware.Name == name
	})
}

// SetMonitoring takes the names of the Middlewares of the Gateway's monitoring.
func (s *State) SetMonitoring(names []string) {
	next := resolve.MonitoringMiddlewares(s.gateway, names)
	if reflect.DeepEqual(s.monitoring, next) {
		return
	}
	s.revision++
	before := map[string]bool{}
	for _, u := range slices.Concat(s.monitoring, next) {
		before[u.Middleware.Name] = s.inUse(u.Middleware.Name)
	}
	s.monitoring = next
	s.markUse(before)
}

// SetMiddleware takes a new or changed Middleware, used or not.
func (s *State) SetMiddleware(m *v1alpha1.Middleware) {
	if m.Namespace != s.gateway.Namespace {
		return
	}
	next := &middlewareState{}
	next.secrets, next.problems = middlewareSecrets(m)
	if config.HasErrors(next.problems) {
		next.secrets = nil
	} else {
		next.middleware = Middleware(m)
	}
	s.replaceMiddleware(m.Name, next)
}

// DeleteMiddleware takes the news that a Middleware is gone.
func (s *State) DeleteMiddleware(name string) { s.replaceMiddleware(name, nil) }

func (s *State) replaceMiddleware(name string, next *middlewareState) {
	old := s.middlewares[name]
	if reflect.DeepEqual(old, next) {
		return
	}
	s.revision++
	if old == nil {
		old = &middlewareState{}
	}
	if next == nil {
		delete(s.middlewares, name)
		next = &middlewareState{}
	} else {
		s.middlewares[name] = next
	}
	if s.inUse(name) && !reflect.DeepEqual(old.secrets, next.secrets) {
		s.delta.secrets = true
	}
	if reflect.DeepEqual(old.middleware, next.middleware) {
		next.middleware = old.middleware
	} else if s.inUse(name) {
		s.delta.middlewares[name] = struct{}{}
	}
}

// Revision changes whenever anything of the Output may have.
func (s *State) Revision() uint64 { return s.revision }

// Routes names the Routes of the Gateway, in no order.
func (s *State) Routes() []string {
	names := make([]string, 0, len(s.routes))
	for name := range s.routes {
		names = append(names, name)
	}
	return names
}

// Middlewares names the Middlewares of the namespace, in no order.
func (s *State) Middlewares() []string {
	names := make([]string, 0, len(s.middlewares))
	for name := range s.middlewares {
		names = append(names, name)
	}
	return names
}

// used gives the Middleware of a name as the Bundle has it; nil when it has not.
func (s *State) used(name string) *config.Middleware {
	if m := s.middlewares[name]; m != nil && s.inUse(name) {
		return m.middleware
	}
	return nil
}

// Take gives what has changed since the last Take. Something that went and came
// back unchanged in between may be in it. Objects that did not change keep their
// pointers.
func (s *State) Take() Delta {
	d := Delta{Secrets: s.delta.secrets}
	for name := range s.delta.routes {
		if r := s.routes[name]; r != nil && r.route != nil {
			d.Routes = append(d.Routes, r.route)
		} else {
			d.GoneRoutes = append(d.GoneRoutes, name)
		}
	}
	for name := range s.delta.middlewares {
		if m := s.used(name); m != nil {
			d.Middlewares = append(d.Middlewares, m)
		} else {
			d.GoneMiddlewares = append(d.GoneMiddlewares, name)
		}
	}
	slices.SortFunc(d.Routes, config.CompareRoutes)
	slices.SortFunc(d.Middlewares, config.CompareMiddlewares)
	slices.Sort(d.GoneRoutes)
	slices.Sort(d.GoneMiddlewares)
	s.delta = newPending()
	return d
}

// RouteSecrets gives the Secrets that a translated Route names, and those that its
// Middlewares name.
func (s *State) RouteSecrets(name string) []resolve.SecretRef {
	r := s.routes[name]
	if r == nil {
		return nil
	}
	refs := slices.Clone(r.secrets)
	for _, u := range r.middlewares {
		refs = append(refs, s.MiddlewareSecrets(u.Middleware.Name)...)
	}
	return refs
}

// MiddlewareSecrets gives the Secrets that a translated Middleware names.
func (s *State) MiddlewareSecrets(name string) []resolve.SecretRef {
	if m := s.middlewares[name]; m != nil {
		return m.secrets
	}
	return nil
}

// Secrets gives what is needed of Secrets, by name.
func (s *State) Secrets() []resolve.SecretUse {
	var refs []resolve.SecretRef
	for _, r := range s.routes {
		refs = append(refs, r.secrets...)
	}
	for name, m := range s.middlewares {
		if len(m.secrets) > 0 && s.inUse(name) {
			refs = append(refs, m.secrets...)
		}
	}
	return resolve.Uses(refs)
}

// Problems gives what is wrong, in a fixed order. It looks at what has problems
// and at what Middlewares are in use, not at every Route.
func (s *State) Problems() []config.Problem {
	var list []config.Problem
	for name := range s.troubled {
		list = append(list, s.routes[name].problems...)
	}
	for name, m := range s.middlewares {
		if len(m.problems) > 0 && s.inUse(name) {
			list = append(list, m.problems...)
		}
	}
	for _, u := range s.missingUses() {
		list = append(list, u.Missing())
	}
	slices.SortFunc(list, compareProblems)
	return list
}

// missingUses are the fields that name a Middleware which does not exist.
func (s *State) missingUses() []resolve.MiddlewareUse {
	exists := func(u resolve.MiddlewareUse) bool { return s.middlewares[u.Middleware.Name] != nil }
	uses := slices.DeleteFunc(slices.Clone(s.monitoring), exists)
	for name, routes := range s.users {
		if s.middlewares[name] != nil {
			continue
		}
		for route := range routes {
			for _, u := range s.routes[route].middlewares {
				if u.Middleware.Name == name {
					uses = append(uses, u)
				}
			}
		}
	}
	return uses
}

// Output gives all of it.
func (s *State) Output() Output {
	b := &config.Bundle{Routes: []*config.Route{}}
	for _, r := range s.routes {
		if r.route != nil {
			b.Routes = append(b.Routes, r.route)
		}
	}
	for name := range s.middlewares {
		if m := s.used(name); m != nil {
			b.Middlewares = append(b.Middlewares, m)
		}
	}
	slices.SortFunc(b.Routes, config.CompareRoutes)
	slices.SortFunc(b.Middlewares, config.CompareMiddlewares)
	return Output{Bundle: b, Problems: s.Problems(), Secrets: s.Secrets()}
}
