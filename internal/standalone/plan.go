// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/operator/stack"
	"gateway.jkaninda.dev/goma/internal/translate"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// Plan is what a Gateway and the objects around it amount to: what the operator
// and the sidecar would make of them.
type Plan struct {
	Gateway *v1alpha1.Gateway
	// File is the static configuration. Routes are in it only when the Gateway
	// has its sidecar off.
	File *config.File
	// Bundle holds the Routes of the Gateway and the Middlewares they use.
	Bundle *config.Bundle
	// Stack are the objects of the cluster.
	Stack stack.Stack
	// Problems are those of the translation, with their positions. That a Secret
	// is not among the manifests is a warning: it may exist in the cluster.
	Problems []config.Problem

	// files are the Secrets that the gateway reads as files.
	files []resolve.SecretUse
}

// NewPlan translates. Paths tell where the files of Secrets are; the zero value
// is where they are in a pod.
func NewPlan(o *Objects, gw *v1alpha1.Gateway, paths translate.Paths) (*Plan, error) {
	if paths.RouteCerts == "" {
		paths = translate.RouteCerts(gw)
	}
	out := translate.Bundle(translate.Input{
		Gateway: client.ObjectKeyFromObject(gw), Routes: o.Routes, Middlewares: o.Middlewares,
		Monitoring: translate.MonitoringMiddlewares(gw), Paths: paths,
	})
	o.locateBundle(out.Bundle)
	file, problems := translate.Gateway(gw, translate.GatewayOptions{Bundle: out.Bundle})
	cfg, err := stack.NewConfig(gw, file)
	if err != nil {
		return nil, fmt.Errorf("translating Gateway %s: %w", gw.Name, err)
	}
	if size := len(cfg.Text); size > stack.MaxConfigBytes {
		problems = append(problems, tooLarge(gw, size))
	}
	in := stack.Input{Gateway: gw, Config: cfg}
	for _, use := range out.Secrets {
		in.RouteSecrets = append(in.RouteSecrets, use.Secret.Name)
	}
	p := &Plan{Gateway: gw, File: file, Bundle: out.Bundle, Stack: stack.Build(in), files: fileSecrets(gw, out.Secrets)}
	problems = append(problems, stack.CheckName(gw)...)
	problems = append(problems, out.Problems...)
	problems = append(problems, o.secretProblems(gw, out.Secrets)...)
	p.Problems = o.locateAll(problems)
	return p, nil
}

// locateBundle tells routes and middlewares where they are written.
func (o *Objects) locateBundle(b *config.Bundle) {
	at := func(ref config.ObjectRef) config.Position {
		doc, ok := o.document(ref)
		if !ok {
			return config.Position{}
		}
		return doc.Position("")
	}
	for _, r := range b.Routes {
		r.Meta.Position = at(r.Meta.Ref)
	}
	for _, m := range b.Middlewares {
		m.Meta.Position = at(m.Meta.Ref)
	}
}

func tooLarge(gw *v1alpha1.Gateway, size int) config.Problem {
	return config.Problem{
		Object: resolve.GatewayRef(client.ObjectKeyFromObject(gw)), Field: "spec.providers.kubernetes.enabled", Reason: config.ReasonInvalid,
		Message: fmt.Sprintf("goma.yml has %d bytes and a ConfigMap holds %d: turn the sidecar on, or spread the Routes over several Gateways",
			size, stack.MaxConfigBytes),
	}
}

// fileSecrets joins the Secrets of Routes and those of the Gateway that a pod
// gets as files.
func fileSecrets(gw *v1alpha1.Gateway, routes []resolve.SecretUse) []resolve.SecretUse {
	var refs []resolve.SecretRef
	for _, ref := range stack.Secrets(gw) {
		if !ref.Environment && resolve.ValidName(ref.Secret.Name) {
			refs = append(refs, ref.SecretRef)
		}
	}
	for _, use := range routes {
		refs = append(refs, use.UsedBy...)
	}
	return resolve.Uses(refs)
}

// secretProblems checks every reference to a Secret.
func (o *Objects) secretProblems(gw *v1alpha1.Gateway, routes []resolve.SecretUse) []config.Problem {
	var refs []resolve.SecretRef
	for _, ref := range stack.Secrets(gw) {
		refs = append(refs, ref.SecretRef)
	}
	for _, use := range routes {
		refs = append(refs, use.UsedBy...)
	}
	var problems []config.Problem
	for _, ref := range refs {
		data := o.secretData(ref.Secret)
		if data == nil {
			problems = append(problems, absent(ref))
		} else if p := ref.Check(data); p != nil {
			problems = append(problems, *p)
		}
	}
	return problems
}

// absent is the problem of a Secret that no manifest holds.
func absent(ref resolve.SecretRef) config.Problem {
	p := ref.Missing()
	p.Severity = config.SeverityWarning
	p.Message = fmt.Sprintf("no manifest holds Secret %s; add it, or see that it exists in the cluster", ref.Secret)
	return p
}
