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
	// users counts the fields that name a Middleware, existing or not.
	users map[string]int
	delta pending
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
		users: map[string]int{}, delta: newPending(),
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
	problems = append(problems, healthProblems(r)...)
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
	if old == nil && next == nil {
		return
	}
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
	s.count(next.middlewares, +1)
	s.count(old.middlewares, -1)
	if !reflect.DeepEqual(old.secrets, next.secrets) {
		s.delta.secrets = true
	}
}

// count adds to the users of Middlewares, and marks those that come into use or
// fall out of it.
func (s *State) count(uses []resolve.MiddlewareUse, n int) {
	for _, u := range uses {
		name := u.Middleware.Name
		before := s.users[name]
		s.users[name] = before + n
		if before == 0 || before+n == 0 {
			s.delta.middlewares[name] = struct{}{}
		}
		if before+n == 0 {
			delete(s.users, name)
		}
	}
}

// SetMonitoring takes the names of the Middlewares of the Gateway's monitoring.
func (s *State) SetMonitoring(names []string) {
	old := s.monitoring
	s.monitoring = resolve.MonitoringMiddlewares(s.gateway, names)
	s.count(s.monitoring, +1)
	s.count(old, -1)
}

// SetMiddleware takes a new or changed Middleware, used or not.
func (s *State) SetMiddleware(m *v1alpha1.Middleware) {
	if m.Namespace != s.gateway.Namespace {
		return
	}
	next := &middlewareState{problems: middlewareProblems(m)}
	if !config.HasErrors(next.problems) {
		next.middleware = Middleware(m)
	}
	s.replaceMiddleware(m.Name, next)
}

// DeleteMiddleware takes the news that a Middleware is gone.
func (s *State) DeleteMiddleware(name string) { s.replaceMiddleware(name, nil) }

func (s *State) replaceMiddleware(name string, next *middlewareState) {
	old := s.middlewares[name]
	if old == nil && next == nil {
		return
	}
	if old == nil {
		old = &middlewareState{}
	}
	if next == nil {
		delete(s.middlewares, name)
		next = &middlewareState{}
	} else {
		s.middlewares[name] = next
	}
	if reflect.DeepEqual(old.middleware, next.middleware) {
		next.middleware = old.middleware
	} else if s.users[name] > 0 {
		s.delta.middlewares[name] = struct{}{}
	}
}

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
	if m := s.middlewares[name]; m != nil && s.users[name] > 0 {
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

// RouteSecrets gives the Secrets that a translated Route names.
func (s *State) RouteSecrets(name string) []resolve.SecretRef {
	if r := s.routes[name]; r != nil {
		return r.secrets
	}
	return nil
}

// Secrets gives what is needed of Secrets, by name.
func (s *State) Secrets() []resolve.SecretUse {
	var refs []resolve.SecretRef
	for _, r := range s.routes {
		refs = append(refs, r.secrets...)
	}
	return resolve.Uses(refs)
}

// Problems gives what is wrong, in a fixed order.
func (s *State) Problems() []config.Problem {
	var list []config.Problem
	uses := slices.Clone(s.monitoring)
	for _, r := range s.routes {
		list = append(list, r.problems...)
		uses = append(uses, r.middlewares...)
	}
	for _, u := range uses {
		if s.middlewares[u.Middleware.Name] == nil {
			list = append(list, u.Missing())
		}
	}
	for name, m := range s.middlewares {
		if s.users[name] > 0 {
			list = append(list, m.problems...)
		}
	}
	slices.SortFunc(list, compareProblems)
	return list
}

// Output gives all of it.
func (s *State) Output() Output {
	b := &config.Bundle{Routes: []*config.Route{}}
	for _, r := range s.routes {
		if r.route != nil {
			b.Routes = append(b.Routes, r.route)
		}
	}
	for name := range s.users {
		if m := s.used(name); m != nil {
			b.Middlewares = append(b.Middlewares, m)
		}
	}
	slices.SortFunc(b.Routes, config.CompareRoutes)
	slices.SortFunc(b.Middlewares, config.CompareMiddlewares)
	return Output{Bundle: b, Problems: s.Problems(), Secrets: s.Secrets()}
}
