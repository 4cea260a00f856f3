// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Command apidocs writes docs/reference: a page for each kind of the API, with
// every field, in the order and with the comments of the Go types, and with the
// defaults and bounds of the definitions that are made of them. "make generate"
// runs it at the root of the repository, after the definitions.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/deploy/crds"
)

// kinds are those of the API, with where else to read about them.
var kinds = []struct {
	object any
	plural string
	see    string
}{
	{v1alpha1.Gateway{}, "gateways", "[pods](../pods.md), [certificates](../certificates.md), [sources](../sources.md), [observability](../observability.md)"},
	{v1alpha1.Route{}, "routes", "[load balancing](../load-balancing.md), [certificates](../certificates.md), [troubleshooting](../troubleshooting.md)"},
	{v1alpha1.Middleware{}, "middlewares", "[the types and their rules](../middlewares/README.md)"},
}

func main() {
	pages, err := pages()
	if err == nil {
		for name, text := range pages {
			if err = os.WriteFile(filepath.Join("docs", "reference", name), text, 0o644); err != nil { //nolint:gosec // documentation
				break
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "apidocs:", err)
		os.Exit(1)
	}
}

// pages gives the text of each page by its name.
func pages() (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, k := range kinds {
		text, err := crds.Files.ReadFile(v1alpha1.GroupVersion.Group + "_" + k.plural + ".yaml")
		if err != nil {
			return nil, fmt.Errorf("reading the definition of %s: %w", k.plural, err)
		}
		var d apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(text, &d); err != nil {
			return nil, fmt.Errorf("reading the definition of %s: %w", k.plural, err)
		}
		p := &page{}
		if err := p.kind(d, reflect.TypeOf(k.object), k.see); err != nil {
			return nil, fmt.Errorf("%s: %w", k.plural, err)
		}
		out[strings.ToLower(d.Spec.Names.Kind)+".md"] = []byte(p.text.String())
	}
	return out, nil
}
