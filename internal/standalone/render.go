// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"bytes"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/operator/apply"
	"gateway.jkaninda.dev/goma/internal/operator/stack"
)

// Objects gives the objects that the operator would apply, as YAML documents.
// What is secret is replaced by ***. The owner references are left out, since they
// hold the uid that the Gateway gets in a cluster.
func (p *Plan) Objects() ([]byte, error) {
	var out bytes.Buffer
	for i, o := range p.Stack.Objects() {
		desired, err := p.desired(o)
		if err != nil {
			return nil, err
		}
		text, err := yaml.Marshal(desired.Object)
		if err != nil {
			return nil, fmt.Errorf("writing %s %s: %w", desired.GetKind(), desired.GetName(), err)
		}
		if i > 0 {
			out.WriteString("---\n")
		}
		out.Write(text)
	}
	return out.Bytes(), nil
}

func (p *Plan) desired(o client.Object) (*unstructured.Unstructured, error) {
	switch x := o.(type) {
	case *corev1.Secret:
		x = x.DeepCopy()
		x.StringData = map[string]string{}
		for k := range x.Data {
			x.StringData[k] = redacted
		}
		x.Data = nil
		o = x
	case *corev1.ConfigMap:
		text, err := p.configMapText()
		if err != nil {
			return nil, err
		}
		x = x.DeepCopy()
		x.Data[stack.ConfigKey] = text
		o = x
	}
	desired, err := apply.Desired(o)
	if err != nil {
		return nil, err
	}
	desired.SetOwnerReferences(nil)
	return desired, nil
}

// configMapText is the text of the ConfigMap without what is secret. It is the
// true one if no Middleware is part of it.
func (p *Plan) configMapText() (string, error) {
	f := *p.File
	f.Middlewares = nil
	for _, m := range p.File.Middlewares {
		f.Middlewares = append(f.Middlewares, hideSecrets(m))
	}
	cfg, err := stack.NewConfig(p.Gateway, &f)
	return cfg.Text, err
}

// Config gives the whole configuration of the gateway as one goma.yml: its
// settings, and the routes and middlewares that the sidecar would deliver. What is
// secret is replaced by ***.
func (p *Plan) Config() ([]byte, error) {
	f := *p.File
	f.Gateway.Providers.File = nil
	f.Gateway.Routes = make([]config.Route, 0, len(p.Bundle.Routes))
	for _, r := range p.Bundle.Routes {
		f.Gateway.Routes = append(f.Gateway.Routes, *r)
	}
	f.Middlewares = nil
	for _, m := range p.Bundle.Middlewares {
		f.Middlewares = append(f.Middlewares, hideSecrets(*m))
	}
	body, err := config.MarshalFile(&f)
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", stack.ConfigKey, err)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "# %s of Gateway %s/%s: its settings, and the routes and middlewares that it serves.\n",
		stack.ConfigKey, p.Gateway.Namespace, p.Gateway.Name)
	if strings.Contains(string(body), redacted) {
		out.WriteString("# Secret values are replaced by " + redacted + ".\n")
	}
	out.WriteByte('\n')
	out.Write(body)
	return out.Bytes(), nil
}
