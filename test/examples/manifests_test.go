// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build examples

package examples

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/schema"
)

// manifest is what an example holds.
type manifest struct {
	name     string
	gateways []*v1alpha1.Gateway
	routes   []*v1alpha1.Route
}

// read reads an example by other means than the binary does.
func read(t *testing.T, path string) manifest {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	m := manifest{name: filepath.Base(path)}
	docs, problems := schema.Documents(path, text)
	for _, doc := range docs {
		content, found := validator.Check(doc)
		problems = append(problems, found...)
		if content == nil {
			continue
		}
		switch content.GetKind() {
		case "Gateway":
			gw := &v1alpha1.Gateway{}
			must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(content.Object, gw))
			m.gateways = append(m.gateways, gw)
		case "Route":
			r := &v1alpha1.Route{}
			must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(content.Object, r))
			m.routes = append(m.routes, r)
		}
	}
	if config.HasErrors(problems) || len(m.gateways) == 0 {
		t.Fatalf("%s: %d Gateways, %v", path, len(m.gateways), problems)
	}
	return m
}

// endpoints are the backends of all Routes.
func (m manifest) endpoints() []string {
	var list []string
	for _, r := range m.routes {
		if r.Spec.Target != "" {
			list = append(list, r.Spec.Target)
		}
		for _, b := range r.Spec.Backends {
			list = append(list, b.Endpoint)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// secrets writes those Secrets that the example asks its reader to create, and
// gives the file; none when there are none.
func (m manifest) secrets(t *testing.T, ca *authority) (file string) {
	t.Helper()
	data := map[string]map[string]string{}
	pair := func(name string, hosts ...string) {
		made := ca.issue(t, hosts...)
		data[name] = map[string]string{"tls.crt": made.cert, "tls.key": made.key}
	}
	for _, gw := range m.gateways {
		if gw.Spec.Server != nil {
			for _, s := range gw.Spec.Server.TLS {
				pair(s.SecretName, s.SecretName+".example.com", "example.com", "www.example.com")
			}
		}
	}
	for _, r := range m.routes {
		if r.Spec.TLS != nil {
			pair(r.Spec.TLS.SecretName, r.Spec.Hosts...)
			if c := r.Spec.TLS.ClientAuth; c != nil {
				data[c.CASecret] = map[string]string{"ca.crt": ca.pem}
			}
		}
		if r.Spec.Security == nil || r.Spec.Security.TLS == nil {
			continue
		}
		if name := r.Spec.Security.TLS.RootCAsSecret; name != "" {
			data[name] = map[string]string{"ca.crt": ca.pem}
		}
		if name := r.Spec.Security.TLS.ClientCertSecret; name != "" {
			pair(name, name+".example.com")
		}
	}
	if len(data) == 0 {
		return ""
	}
	var text strings.Builder
	for name, values := range data {
		fmt.Fprintf(&text, "---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s}\nstringData:\n", name)
		for k, v := range values {
			fmt.Fprintf(&text, "  %s: |\n    %s\n", k, strings.ReplaceAll(strings.TrimSpace(v), "\n", "\n    "))
		}
	}
	file = filepath.Join(t.TempDir(), "secrets.yaml")
	must(t, os.WriteFile(file, []byte(text.String()), 0o600))
	return file
}

// copyOf copies an example to where it may be edited.
func copyOf(t *testing.T, name string) (path string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	must(t, err)
	path = filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(path, text, 0o600))
	return path
}

// edit replaces a file at once, as editors do.
func edit(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path+".tmp", []byte(text), 0o600))
	must(t, os.Rename(path+".tmp", path))
}
