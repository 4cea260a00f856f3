// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"reflect"
	"slices"

	"gateway.jkaninda.dev/goma/internal/config"
)

// Reuse gives next with the objects of before in place of equal ones, so that
// whoever gets it works only on what has changed. Where in its document an object
// stands is no difference. When nothing differs it gives before itself.
func Reuse(before, next *config.Bundle) *config.Bundle {
	if before == nil || next == nil {
		return next
	}
	routes := make(map[string]*config.Route, len(before.Routes))
	for _, r := range before.Routes {
		routes[r.Name] = r
	}
	for i, r := range next.Routes {
		if old := routes[r.Name]; old != nil && equalRoutes(old, r) {
			next.Routes[i] = old
		}
	}
	middlewares := make(map[string]*config.Middleware, len(before.Middlewares))
	for _, m := range before.Middlewares {
		middlewares[m.Name] = m
	}
	for i, m := range next.Middlewares {
		if old := middlewares[m.Name]; old != nil && equalMiddlewares(old, m) {
			next.Middlewares[i] = old
		}
	}
	if slices.Equal(before.Routes, next.Routes) && slices.Equal(before.Middlewares, next.Middlewares) {
		return before
	}
	return next
}

func equalRoutes(a, b *config.Route) bool {
	x, y := *a, *b
	x.Meta, y.Meta = x.Meta.Unplaced(), y.Meta.Unplaced()
	return reflect.DeepEqual(x, y)
}

func equalMiddlewares(a, b *config.Middleware) bool {
	x, y := *a, *b
	x.Meta, y.Meta = x.Meta.Unplaced(), y.Meta.Unplaced()
	return reflect.DeepEqual(x, y)
}
