// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"errors"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware"
	"gateway.jkaninda.dev/goma/internal/translate"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// Check reads manifests and gives everything that the API server, the operator or
// the gateway would find wrong with them, by doing what they do up to the point
// of serving. It opens no port and connects to nothing. The error is for files
// that cannot be read at all.
func Check(paths []string, stdin io.Reader) (o *Objects, problems []config.Problem, err error) {
	loader, err := NewLoader(paths, stdin)
	if err != nil {
		return nil, nil, err
	}
	o, problems, err = loader.Load()
	if err != nil {
		return nil, nil, err
	}
	if o.Files == 0 {
		return nil, nil, noManifests(paths)
	}
	found, err := o.check()
	return o, o.withoutConsequences(o.locateAll(join(problems, found))), err
}

func noManifests(paths []string) error {
	return errors.New("there are no manifests in " + strings.Join(paths, ", ") + "; files end in " + strings.Join(extensions, ", "))
}

// check finds what is wrong with objects that the API server takes.
func (o *Objects) check() (problems []config.Problem, err error) {
	problems = o.attachments()
	for _, m := range o.Middlewares {
		problems = append(problems, checkMiddleware(m)...)
	}
	w, err := newWorkspace()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.remove()) }()
	for _, gw := range o.Gateways {
		found, err := o.checkGateway(gw, w)
		if err != nil {
			return nil, err
		}
		problems = join(problems, found)
	}
	return join(problems, o.checkUnattached()), nil
}

// checkMiddleware finds what keeps a Middleware from working, used or not.
func checkMiddleware(m *v1alpha1.Middleware) []config.Problem {
	translated := translate.Middleware(m)
	problems := config.ValidateMiddleware(translated)
	if !config.HasErrors(problems) {
		problems = append(problems, middleware.Check(translated)...)
	}
	for i := range problems {
		problems[i].Object = resolve.MiddlewareRef(m)
	}
	return problems
}

// checkGateway does all that a gateway does with its configuration but serve it.
func (o *Objects) checkGateway(gw *v1alpha1.Gateway, w *workspace) ([]config.Problem, error) {
	plan, err := NewPlan(o, gw, w.paths())
	if err != nil {
		return nil, err
	}
	env := plan.secretEnvironment(o)
	if err := w.write(o, plan, env); err != nil {
		return nil, err
	}
	file, settings, err := gateway.LoadFileWith(w.configFile(), false, expander(env, nil))
	if err != nil {
		return nil, err
	}
	bundle, problems, err := served(plan.Bundle, nil)
	if err != nil {
		return nil, err
	}
	problems = join(plan.Problems, o.ofGateway(gw, settings), problems)
	cfg, merge := config.Merge(file, []config.Layer{{Source: config.SourceKubernetes, Bundle: bundle}})
	compile := o.ofGateway(gw, append(merge, gateway.CheckConfig(cfg, w.secrets.dir)...))
	return join(problems, withoutSecrets(compile)), nil
}

// checkUnattached checks the Routes whose Gateways no manifest holds.
func (o *Objects) checkUnattached() []config.Problem {
	known := o.gatewayNames()
	var problems []config.Problem
	for _, r := range o.Routes {
		for _, name := range r.Spec.Gateways {
			target := types.NamespacedName{Namespace: r.Namespace, Name: name}
			if known[target] {
				continue
			}
			known[target] = true
			out := translate.Bundle(translate.Input{Gateway: target, Routes: o.Routes, Middlewares: o.Middlewares})
			cfg, merge := config.Merge(&config.File{}, []config.Layer{{Source: config.SourceKubernetes, Bundle: out.Bundle}})
			found := append(merge, gateway.CheckConfig(cfg, "")...)
			problems = join(problems, o.relocate(out.Problems), withoutSecrets(o.relocate(found)))
		}
	}
	return problems
}

// withoutSecrets leaves out what the compiler says of missing files, which has
// been said of the Secrets.
func withoutSecrets(problems []config.Problem) []config.Problem {
	var out []config.Problem
	for _, p := range problems {
		if !ofSecret(p) {
			out = append(out, p)
		}
	}
	return out
}

// ofSecret tells a problem of a Secret, or of the files it becomes.
func ofSecret(p config.Problem) bool {
	return p.Reason == config.ReasonSecretNotFound || p.Reason == config.ReasonSecretInvalid
}

// relocate gives the positions of problems from steps that do not know files.
func (o *Objects) relocate(problems []config.Problem) []config.Problem {
	out := make([]config.Problem, 0, len(problems))
	for _, p := range problems {
		out = append(out, o.Locate(p))
	}
	return out
}

// ofGateway is relocate for what a gateway says, to which its own object has no
// name and another vocabulary.
func (o *Objects) ofGateway(gw *v1alpha1.Gateway, problems []config.Problem) []config.Problem {
	out := make([]config.Problem, 0, len(problems))
	for _, p := range problems {
		if p.Object.Kind == "Gateway" && p.Object.Name == "" {
			p.Object = resolve.GatewayRef(client.ObjectKeyFromObject(gw))
			p.Field = fieldOfGateway(p.Field)
		}
		out = append(out, o.Locate(p))
	}
	return out
}

// fieldOfGateway gives the field of a Gateway for one of goma.yml.
func fieldOfGateway(field string) string {
	for _, pair := range [][2]string{
		{"gateway.providers", "spec.providers"},
		{"gateway.tls.certificates", "spec.server.tls"},
		{"gateway.", "spec.server."},
		{"certManager", "spec.certManager"},
	} {
		if rest, ok := strings.CutPrefix(field, pair[0]); ok {
			return pair[1] + rest
		}
	}
	return field
}

// join appends problems of later steps, without those that an earlier step has
// found for the same field and reason.
func join(earlier []config.Problem, later ...[]config.Problem) []config.Problem {
	type subject struct {
		kind, namespace, name, field string
		reason                       config.Reason
	}
	subjectOf := func(p config.Problem) subject {
		return subject{p.Object.Kind, p.Object.Namespace, p.Object.Name, p.Field, p.Reason}
	}
	for _, list := range later {
		said := map[subject]bool{}
		for _, p := range earlier {
			said[subjectOf(p)] = true
		}
		for _, p := range list {
			if !said[subjectOf(p)] {
				earlier = append(earlier, p)
			}
		}
	}
	return earlier
}
