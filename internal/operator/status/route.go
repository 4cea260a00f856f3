// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/operator/board"
)

// RouteFacts is what is known of a Route.
type RouteFacts struct {
	Route *v1alpha1.Route
	// Spec are the problems of the Route's own fields.
	Spec []config.Problem
	// Gateways are those that the Route names, in its order.
	Gateways []RouteGateway
	// MissingMiddlewares are names without an object.
	MissingMiddlewares []string
	// Refs are problems of what the Route names and what exists: Middlewares
	// that cannot be built, Secrets that are missing or unusable.
	Refs []config.Problem
	// Now is when this is known; certificates end.
	Now time.Time
}

// RouteGateway is how a Route stands on one Gateway.
type RouteGateway struct {
	Name   string
	Exists bool
	// Generation of the Gateway.
	Generation int64
	// Seen is false while the Gateway has not been looked at since the Route changed.
	Seen bool
	Live board.Live
}

// Route judges a Route. Conditions have no times yet; the Writer sets them.
func Route(f RouteFacts) v1alpha1.RouteStatus {
	r := f.Route
	c := conditions{generation: r.Generation}
	valid := routeValid(&c, f)
	middlewares(&c, f)
	routeAccepted(&c, f)
	resolved := routeRefs(&c, f)
	programmed := routeProgrammed(&c, f)
	routeConflicted(&c, f)
	routeCertificates(&c, f)
	out := v1alpha1.RouteStatus{
		Ready:      valid && resolved && programmed,
		Synced:     synced(f),
		Conditions: c.list,
	}
	out.GatewayGeneration = gatewayGeneration(f, out.Synced)
	return out
}

func routeValid(c *conditions, f RouteFacts) bool {
	problems := append(errorsOf(f.Spec), missingGateways(f)...)
	problems = append(problems, missingMiddlewares(f)...)
	if len(problems) > 0 {
		c.set(Valid, false, ReasonValidationFailed, join(problems))
		return false
	}
	c.set(Valid, true, ReasonValidationPassed, "The Route is valid, and the Gateways and Middlewares that it names exist.")
	return true
}

func middlewares(c *conditions, f RouteFacts) {
	if len(f.MissingMiddlewares) == 0 {
		c.set(MiddlewaresResolved, true, ReasonAllMiddlewaresFound, "All Middlewares that the Route names exist.")
		return
	}
	c.set(MiddlewaresResolved, false, ReasonMiddlewareNotFound, fmt.Sprintf(
		"No Middleware in namespace %s is named %s.", f.Route.Namespace, strings.Join(f.MissingMiddlewares, ", ")))
}

func routeAccepted(c *conditions, f RouteFacts) {
	problems := append(errorsOf(f.Spec), missingGateways(f)...)
	if len(problems) > 0 {
		c.set(Accepted, false, reason(problems), join(problems))
		return
	}
	c.set(Accepted, true, ReasonAccepted, "The Gateways take the Route.")
}

func routeRefs(c *conditions, f RouteFacts) bool {
	problems := unresolved(f)
	if len(problems) > 0 {
		c.set(ResolvedRefs, false, reason(problems), join(problems))
		return false
	}
	c.set(ResolvedRefs, true, ReasonResolvedRefs, "Everything that the Route refers to is there.")
	return true
}

// routeProgrammed tells whether the Route is live: first what keeps it from
// being, then what the pods say.
func routeProgrammed(c *conditions, f RouteFacts) bool {
	if problems := errorsOf(f.Spec); len(problems) > 0 {
		c.set(Programmed, false, reason(problems), "The Route is set aside: "+join(problems))
		return false
	}
	if problems := missingGateways(f); len(problems) > 0 {
		c.set(Programmed, false, reason(problems), join(problems))
		return false
	}
	if problems := unresolved(f); len(problems) > 0 {
		c.set(Programmed, false, reason(problems), "The Route answers 503: "+join(problems))
		return false
	}
	for _, g := range f.Gateways {
		if why, message := notLive(f.Route, g); why != "" {
			c.set(Programmed, false, why, message)
			return false
		}
	}
	if f.Route.Spec.Enabled != nil && !*f.Route.Spec.Enabled {
		c.set(Programmed, true, ReasonDisabled, "The Gateways know the Route and do not serve it: spec.enabled is false.")
		return true
	}
	c.set(Programmed, true, ReasonProgrammed, "Every ready pod of "+names(f.Gateways)+" serves the Route.")
	return true
}

// notLive gives the reason why a Route is not live on a Gateway; empty when it is.
func notLive(r *v1alpha1.Route, g RouteGateway) (why, message string) {
	pending := fmt.Sprintf("Waiting until every ready pod of Gateway %s has the Route.", g.Name)
	refusals := errorsOf(g.Live.Problems)
	switch {
	case !g.Seen:
		return ReasonPending, pending
	case g.Live.NoPods:
		return ReasonNoReadyPods, fmt.Sprintf("No pod of Gateway %s is ready.", g.Name)
	case len(refusals) > 0:
		return reason(refusals), fmt.Sprintf("Gateway %s: %s", g.Name, join(refusals))
	case !confirmed(r, g):
		return ReasonPending, pending
	}
	return "", ""
}

// confirmed tells whether the pods have the Route. Where the board does not know
// yet, because the operator has just started, what was written before holds as
// long as the Route is the same.
func confirmed(r *v1alpha1.Route, g RouteGateway) bool {
	if !g.Seen {
		return false
	}
	if g.Live.Known {
		return g.Live.Programmed
	}
	was := meta.FindStatusCondition(r.Status.Conditions, Programmed)
	return was != nil && was.Status == metav1.ConditionTrue && was.ObservedGeneration == r.Generation
}

func routeConflicted(c *conditions, f RouteFacts) {
	var problems []config.Problem
	for _, g := range f.Gateways {
		for _, p := range g.Live.Problems {
			if p.Reason == config.ReasonConflicted {
				problems = append(problems, p)
			}
		}
	}
	if len(problems) > 0 {
		c.set(Conflicted, true, string(config.ReasonConflicted), join(problems))
		return
	}
	c.set(Conflicted, false, ReasonNoConflict, "No other Route takes precedence with the same match.")
}

// synced tells whether each Gateway's pods have the Route, served or not.
func synced(f RouteFacts) bool {
	for _, g := range f.Gateways {
		if !g.Exists || !confirmed(f.Route, g) {
			return false
		}
	}
	return len(f.Gateways) > 0
}

// gatewayGeneration is the generation of the first Gateway when the Route
// became live. It is not written again with each change of the Gateway, which
// would be one write for every Route.
func gatewayGeneration(f RouteFacts, synced bool) int64 {
	if !synced {
		return 0
	}
	was := meta.FindStatusCondition(f.Route.Status.Conditions, Programmed)
	if f.Route.Status.Synced && was != nil && was.ObservedGeneration == f.Route.Generation &&
		f.Route.Status.GatewayGeneration > 0 {
		return f.Route.Status.GatewayGeneration
	}
	return f.Gateways[0].Generation
}

func missingGateways(f RouteFacts) []config.Problem {
	var out []config.Problem
	for i, g := range f.Gateways {
		if g.Exists {
			continue
		}
		out = append(out, config.Problem{
			Field:  fmt.Sprintf("spec.gateways[%d]", i),
			Reason: config.ReasonGatewayNotFound,
			Message: fmt.Sprintf("there is no Gateway %s in namespace %s; create it or name another",
				g.Name, f.Route.Namespace),
		})
	}
	return out
}

func missingMiddlewares(f RouteFacts) []config.Problem {
	var out []config.Problem
	for _, name := range f.MissingMiddlewares {
		out = append(out, config.Problem{
			Field:  "spec.middlewares",
			Reason: config.ReasonMiddlewareNotFound,
			Message: fmt.Sprintf("there is no Middleware %s in namespace %s; create it or take it off the list",
				name, f.Route.Namespace),
		})
	}
	return out
}

func unresolved(f RouteFacts) []config.Problem {
	return append(missingMiddlewares(f), errorsOf(f.Refs)...)
}

func names(gateways []RouteGateway) string {
	list := make([]string, len(gateways))
	for i, g := range gateways {
		list[i] = g.Name
	}
	return "Gateway " + strings.Join(list, ", ")
}
