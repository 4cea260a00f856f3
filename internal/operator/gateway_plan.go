// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/operator/board"
	"gateway.jkaninda.dev/goma/internal/operator/stack"
	"gateway.jkaninda.dev/goma/internal/translate"
	"gateway.jkaninda.dev/goma/internal/wire"
)

// plan is what a Gateway and its world amount to. It is computed, not read.
type plan struct {
	sidecar bool
	bundle  *config.Bundle
	config  stack.Config
	wanted  board.Wanted
	// served counts the Routes that are valid and enabled.
	served       int
	routeSecrets []string
	// problems are those of the Gateway's own fields, refs those of the
	// Middlewares that its monitoring names.
	problems, refs []config.Problem
	// nameProblems keep anything from being applied at all.
	nameProblems []config.Problem
	// findings are problems of Routes that pods with a sidecar report themselves.
	findings []config.Problem
	// tooLarge says that the configuration does not fit.
	tooLarge string
}

func newPlan(gw *v1alpha1.Gateway, w world) (plan, error) {
	p := plan{sidecar: sidecarOf(gw), nameProblems: stack.CheckName(gw)}
	out := translate.Bundle(bundleInput(gw, w))
	p.bundle = out.Bundle
	for _, use := range out.Secrets {
		p.routeSecrets = append(p.routeSecrets, use.Secret.Name)
	}
	for _, problem := range out.Problems {
		if problem.Object.Kind == "Gateway" {
			p.refs = append(p.refs, problem)
		}
	}
	p.served = served(out.Bundle)
	file, problems := translate.Gateway(gw, translate.GatewayOptions{Bundle: out.Bundle})
	p.problems = append(slices.Clone(p.nameProblems), problems...)
	var err error
	if p.config, err = stack.NewConfig(gw, file); err != nil {
		return plan{}, err
	}
	if size := p.config.Size(); size > stack.MaxConfigBytes {
		p.tooLarge = fmt.Sprintf("the configuration has %d bytes and a ConfigMap or Secret holds %d: turn the sidecar on "+
			"(spec.providers.kubernetes.enabled: true), or spread the Routes over several Gateways; "+
			"until then the pods keep the configuration that they have", size, stack.MaxConfigBytes)
	}
	p.wanted = board.Wanted{Checksum: p.config.RestartHash, Routes: map[string]string{}, Hosts: map[string][]string{}}
	if p.sidecar {
		p.wanted.Checksum = wire.Checksum(out.Bundle)
	} else {
		p.findings = conflicts(out.Bundle)
	}
	for _, route := range w.routes {
		p.wanted.Routes[route.Name] = form(route, w.middlewares)
		for _, host := range route.Spec.Hosts {
			p.wanted.Hosts[route.Name] = append(p.wanted.Hosts[route.Name], strings.ToLower(strings.TrimSuffix(host, ".")))
		}
	}
	return p, nil
}

func bundleInput(gw *v1alpha1.Gateway, w world) translate.Input {
	in := translate.Input{
		Gateway:    client.ObjectKeyFromObject(gw),
		Routes:     w.routes,
		Monitoring: translate.MonitoringMiddlewares(gw),
		Paths:      translate.RouteCerts(gw),
	}
	for _, m := range w.middlewares {
		in.Middlewares = append(in.Middlewares, m)
	}
	return in
}

// served counts the routes that are enabled and valid.
func served(b *config.Bundle) int {
	n := 0
	for _, route := range b.Routes {
		if (route.Enabled == nil || *route.Enabled) && !config.HasErrors(config.ValidateRoute(route)) {
			n++
		}
	}
	return n
}

// form is a text that changes whenever a Route, or a Middleware that it names,
// does: their identities and generations.
func form(route *v1alpha1.Route, middlewares map[string]*v1alpha1.Middleware) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%d", route.UID, route.Generation)
	for _, name := range route.Spec.Middlewares {
		if m := middlewares[name]; m != nil {
			fmt.Fprintf(&b, ";%s/%d", m.UID, m.Generation)
		} else {
			b.WriteString(";-")
		}
	}
	return b.String()
}
