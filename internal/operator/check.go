// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware"
	"gateway.jkaninda.dev/goma/internal/translate"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// checkRoute finds what is wrong with the Route's own fields: by the same
// translation and the same validation that the gateway uses.
func checkRoute(r *v1alpha1.Route) []config.Problem {
	if len(r.Spec.Gateways) == 0 {
		return []config.Problem{{
			Field: "spec.gateways", Reason: config.ReasonInvalid, Message: "name at least one Gateway of this namespace",
		}}
	}
	out := translate.Bundle(translate.Input{
		Gateway: types.NamespacedName{Namespace: r.Namespace, Name: r.Spec.Gateways[0]},
		Routes:  []*v1alpha1.Route{r},
	})
	var problems []config.Problem
	for _, p := range out.Problems {
		if p.Reason != config.ReasonMiddlewareNotFound {
			problems = append(problems, p)
		}
	}
	for _, route := range out.Bundle.Routes {
		problems = append(problems, inSpec(config.ValidateRoute(route))...)
	}
	return problems
}

// checkMiddleware finds what is wrong with a Middleware: its fields, the Secrets that
// it names, as far as names tell, and its rule as the gateway would read it.
func checkMiddleware(m *v1alpha1.Middleware) []config.Problem {
	translated := translate.Middleware(m)
	problems := config.ValidateMiddleware(translated)
	if config.HasErrors(problems) {
		return inSpec(problems)
	}
	if _, names := resolve.MiddlewareSecrets(m); len(names) > 0 {
		return inSpec(append(problems, names...))
	}
	return inSpec(append(problems, middleware.Check(translated)...))
}

// middlewareSecrets finds what is wrong with the Secrets that a Middleware names.
func (s *secrets) middlewareSecrets(ctx context.Context, m *v1alpha1.Middleware) (named int, problems []config.Problem, err error) {
	refs, _ := resolve.MiddlewareSecrets(m)
	for _, ref := range refs {
		_, problem, err := s.check(ctx, ref)
		if err != nil {
			return len(refs), nil, err
		}
		if problem != nil {
			problems = append(problems, *problem)
		}
	}
	return len(refs), problems, nil
}

// inSpec gives fields as they are written in a custom resource.
func inSpec(problems []config.Problem) []config.Problem {
	for i, p := range problems {
		if p.Field != "" && !strings.HasPrefix(p.Field, "spec.") && !strings.HasPrefix(p.Field, "metadata.") {
			problems[i].Field = "spec." + p.Field
		}
	}
	return problems
}

// unusable is the problem of a Route whose Middleware cannot be built.
func unusable(r *v1alpha1.Route, i int, m *v1alpha1.Middleware, problems []config.Problem) config.Problem {
	reason := config.ReasonMiddlewareInvalid
	var texts []string
	for _, p := range problems {
		if p.Severity != config.SeverityError {
			continue
		}
		switch p.Reason {
		case config.ReasonUnsupported, config.ReasonSecretNotFound, config.ReasonSecretInvalid:
			reason = p.Reason
		}
		texts = append(texts, p.Field+": "+p.Message)
	}
	return config.Problem{
		Object:  config.ObjectRef{Kind: "Route", Namespace: r.Namespace, Name: r.Name},
		Field:   fmt.Sprintf("spec.middlewares[%d]", i),
		Reason:  reason,
		Message: fmt.Sprintf("Middleware %s cannot be used: %s", m.Name, strings.Join(texts, "; ")),
	}
}
