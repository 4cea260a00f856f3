// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
)

// MiddlewareUse is one field that names a Middleware.
type MiddlewareUse struct {
	// Object and Field are who names it, and where.
	Object config.ObjectRef
	Field  string
	// Middleware is in the namespace of Object.
	Middleware types.NamespacedName
}

// RouteMiddlewares gives the Middlewares that a Route names, in its order.
func RouteMiddlewares(r *v1alpha1.Route) []MiddlewareUse {
	return middlewareUses(RouteRef(r), "spec.middlewares", r.Spec.Middlewares)
}

// MonitoringMiddlewares gives the Middlewares that protect a Gateway's metrics.
func MonitoringMiddlewares(gateway types.NamespacedName, names []string) []MiddlewareUse {
	return middlewareUses(GatewayRef(gateway), "spec.server.monitoring.middleware.metrics", names)
}

func middlewareUses(object config.ObjectRef, field string, names []string) []MiddlewareUse {
	var uses []MiddlewareUse
	for i, name := range names {
		uses = append(uses, MiddlewareUse{
			Object: object, Field: fmt.Sprintf("%s[%d]", field, i),
			Middleware: types.NamespacedName{Namespace: object.Namespace, Name: name},
		})
	}
	return uses
}

// Missing is the problem of a use of a Middleware that does not exist.
func (u MiddlewareUse) Missing() config.Problem {
	if !ValidName(u.Middleware.Name) {
		p := notAName(u.Object, u.Field, "Middleware", u.Middleware.Name)
		// Such a Middleware cannot exist, so the Route is served as one whose
		// Middleware does not.
		p.Reason = config.ReasonMiddlewareNotFound
		return p
	}
	return config.Problem{
		Object: u.Object, Field: u.Field, Reason: config.ReasonMiddlewareNotFound,
		Message: fmt.Sprintf("Middleware %s does not exist; create it or take the name out of the list", u.Middleware),
	}
}
