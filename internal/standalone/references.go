// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// attachments reports Routes that name no Gateway, or one that no manifest holds.
func (o *Objects) attachments() []config.Problem {
	known := o.gatewayNames()
	var problems []config.Problem
	for _, r := range o.Routes {
		for i, name := range r.Spec.Gateways {
			switch {
			case len(o.Gateways) == 0 || known[types.NamespacedName{Namespace: r.Namespace, Name: name}]:
				continue
			case o.refused[key{"Gateway", r.Namespace, name}]:
				continue // what is wrong with the Gateway says more
			}
			problems = append(problems, config.Problem{
				Object: resolve.RouteRef(r), Field: fmt.Sprintf("spec.gateways[%d]", i),
				Reason: config.ReasonGatewayNotFound, Severity: config.SeverityWarning,
				Message: fmt.Sprintf("no manifest holds a Gateway %s in namespace %s; the Route is not served by it%s",
					name, r.Namespace, meant(name, o.Gateways)),
			})
		}
	}
	return problems
}

func meant(name string, list []*v1alpha1.Gateway) string {
	var known []string
	for _, gw := range list {
		known = append(known, gw.Name)
	}
	if near := config.Nearest(name, known); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// gatewayNames are those of the Gateways that manifests hold.
func (o *Objects) gatewayNames() map[types.NamespacedName]bool {
	known := map[types.NamespacedName]bool{}
	for _, gw := range o.Gateways {
		known[client.ObjectKeyFromObject(gw)] = true
	}
	return known
}

// withoutConsequences leaves out that Routes miss Middlewares which are there, but
// refused: what is wrong with those is said of them.
func (o *Objects) withoutConsequences(problems []config.Problem) []config.Problem {
	return slices.DeleteFunc(slices.Clone(problems), func(p config.Problem) bool {
		var i int
		if p.Reason != config.ReasonMiddlewareNotFound || p.Object.Kind != "Route" {
			return false
		}
		if n, err := fmt.Sscanf(p.Field, "spec.middlewares[%d]", &i); n != 1 || err != nil {
			return false
		}
		for _, r := range o.Routes {
			if r.Namespace == p.Object.Namespace && r.Name == p.Object.Name && i < len(r.Spec.Middlewares) {
				return o.refused[key{"Middleware", r.Namespace, r.Spec.Middlewares[i]}]
			}
		}
		return false
	})
}
