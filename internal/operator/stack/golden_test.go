// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/operator/apply"
	"gateway.jkaninda.dev/goma/internal/operator/stack"
	"gateway.jkaninda.dev/goma/internal/schema"
	"gateway.jkaninda.dev/goma/internal/translate"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Each testdata/NAME.in.yaml holds a Gateway and what belongs to it, and
// NAME.out.yaml the objects that it becomes.
func TestAGatewayBecomesItsStack(t *testing.T) {
	t.Parallel()
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no inputs: %v", err)
	}
	for _, path := range inputs {
		name := strings.TrimSuffix(filepath.Base(path), ".in.yaml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compareGolden(t, filepath.Join("testdata", name+".out.yaml"), render(t, build(t, path)))
		})
	}
}

// build gives the stack of the Gateway in a file.
func build(t *testing.T, path string) stack.Stack {
	t.Helper()
	in := translate.Input{}
	var gw *v1alpha1.Gateway
	for _, doc := range documents(t, path) {
		switch o := doc.(type) {
		case *v1alpha1.Gateway:
			gw = o
		case *v1alpha1.Route:
			in.Routes = append(in.Routes, o)
		case *v1alpha1.Middleware:
			in.Middlewares = append(in.Middlewares, o)
		}
	}
	if gw == nil {
		t.Fatalf("%s holds no Gateway", path)
	}
	gw.UID = "00000000-0000-0000-0000-000000000001"
	in.Gateway = client.ObjectKeyFromObject(gw)
	in.Paths = translate.RouteCerts(gw)
	out := translate.Bundle(in)
	file, _ := translate.Gateway(gw, translate.GatewayOptions{Bundle: out.Bundle})
	cfg, err := stack.NewConfig(gw, file)
	if err != nil {
		t.Fatal(err)
	}
	input := stack.Input{Gateway: gw, Config: cfg}
	for _, use := range out.Secrets {
		input.RouteSecrets = append(input.RouteSecrets, use.Secret.Name)
	}
	return stack.Build(input)
}

// documents gives the objects of this API as the API server would store them:
// valid, and with their defaults. Others are left out.
func documents(t *testing.T, path string) []client.Object {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	validator, err := schema.New()
	if err != nil {
		t.Fatal(err)
	}
	var out []client.Object
	for doc := range bytes.SplitSeq(text, []byte("\n---\n")) {
		object, err := schema.Decode(doc)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		var o client.Object
		switch object["kind"] {
		case "Gateway":
			o = &v1alpha1.Gateway{}
		case "Route":
			o = &v1alpha1.Route{}
		case "Middleware":
			o = &v1alpha1.Middleware{}
		default:
			continue
		}
		validator.Default(object)
		if problems := validator.Validate(object); len(problems) > 0 {
			t.Fatalf("%s: the API server would refuse it: %v", path, problems)
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object, o, true); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		out = append(out, o)
	}
	return out
}

// render writes the objects as they are sent.
func render(t *testing.T, s stack.Stack) []byte {
	t.Helper()
	var out bytes.Buffer
	for i, o := range s.Objects() {
		desired, err := apply.Desired(o)
		if err != nil {
			t.Fatal(err)
		}
		text, err := yaml.Marshal(desired.Object)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			out.WriteString("---\n")
		}
		out.Write(text)
	}
	return out.Bytes()
}

func compareGolden(t *testing.T, path string, have []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, have, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s differs; run the test with -update and read the difference\n%s", path, firstDifference(want, have))
	}
}

func firstDifference(want, have []byte) string {
	w, h := strings.Split(string(want), "\n"), strings.Split(string(have), "\n")
	for i := range w {
		if i >= len(h) || w[i] != h[i] {
			got := "(end)"
			if i < len(h) {
				got = h[i]
			}
			return "want: " + w[i] + "\nhave: " + got
		}
	}
	return "have more lines than wanted"
}
