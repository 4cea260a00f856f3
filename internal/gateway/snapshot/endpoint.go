// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"
	"net/http"
	"slices"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware"
)

// Endpoint is a built-in endpoint that middlewares guard.
type Endpoint int

// The endpoints.
const (
	Metrics Endpoint = iota
	RouteHealth
	endpointCount = 2
)

// endpoints makes the guarded endpoints, or takes them over.
func (r *run) endpoints() {
	var m config.Monitoring
	if g := r.next.config.Gateway; g != nil {
		m = g.Monitoring
	}
	path := m.MetricsPath
	if path == "" {
		path = "/metrics"
	}
	r.endpoint(Metrics, path, "gateway.monitoring.middleware.metrics", m.Middleware.Metrics)
	r.endpoint(RouteHealth, "/healthz/routes", "gateway.monitoring.middleware.routeHealthCheck", m.Middleware.RouteHealthCheck)
}

func (r *run) endpoint(which Endpoint, path, field string, names []string) {
	before := r.prev.endpoints[which]
	if before != nil && before.route.Path == path && before.fresh(names, r.next.steps, "", r.identify) {
		r.next.endpoints[which] = before
		return
	}
	handler := r.o.Endpoints[which]
	if handler == nil {
		handler = http.NotFoundHandler()
	}
	c := guard(r.o, path, field, handler, slices.Clone(names), r.next.steps)
	r.next.endpoints[which] = c
	r.next.entering = append(r.next.entering, c)
	if before != nil {
		r.next.leaving = append(r.next.leaving, before)
	}
}

// guard puts middlewares in front of an endpoint. One that is missing or cannot
// be built closes it.
func guard(o Options, path, field string, next http.Handler, names []string, deps *steps) *chain {
	b := &builder{
		o: o, chain: &chain{route: &config.Route{Name: field, Path: path}, names: names},
		info:   middleware.RouteInfo{Name: path, Path: path},
		object: config.ObjectRef{Kind: "Gateway"},
		fieldOf: func(name string) string {
			return fmt.Sprintf("%s[%d]", field, slices.Index(names, name))
		},
	}
	for _, name := range names {
		b.deps = append(b.deps, deps.get(name))
	}
	b.safely(func() {
		b.misses()
		b.handler = next
		for _, phase := range []middleware.Phase{middleware.Inner, middleware.Chain, middleware.Outer} {
			b.handler = b.wrap(b.handler, b.deps, phase)
		}
	})
	if b.fault != "" || b.invalid {
		b.handler = b.closed()
	}
	return b.chain
}
