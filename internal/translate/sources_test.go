// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"regexp"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/deploy/crds"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/schema"
)

// manifests makes manifests by chance: each field is there or not, and false, 0 and
// the empty list are as likely as anything else. seen gathers what was written.
type manifests struct {
	*rand.Rand

	seen map[string]bool
	// schemas are those of the paths of the definition, as value writes them.
	schemas map[string]apiextensionsv1.JSONSchemaProps
}

// maxDepth is beyond all types; it ends those that contain themselves.
const maxDepth = 12

// value writes a value of a type; nil for one of a type that is not ours.
func (m *manifests) value(t reflect.Type, path string, depth int) any {
	switch t.Kind() {
	case reflect.Pointer:
		return m.value(t.Elem(), path, depth)
	case reflect.Bool:
		b := m.IntN(2) == 0
		m.note(path, b)
		return b
	case reflect.Int, reflect.Int32, reflect.Int64:
		n := m.IntN(3)
		if least := m.schemas[path].Minimum; n == 0 && least != nil && *least > 0 {
			n = 1 // there is no 0
		}
		m.note(path, n > 0)
		return n
	case reflect.String:
		m.note(path, true)
		return []string{"7m", "1h", "30s"}[m.IntN(3)] // texts that are durations too
	case reflect.Slice:
		return m.list(t, path, depth)
	case reflect.Map:
		return m.table(t, path, depth)
	case reflect.Struct:
		return m.object(t, path, depth)
	}
	return nil
}

func (m *manifests) note(path string, set bool) {
	m.seen[path] = m.seen[path] || set
}

func (m *manifests) list(t reflect.Type, path string, depth int) any {
	list := []any{}
	for range m.IntN(3) {
		if v := m.value(t.Elem(), path+"[]", depth+1); v != nil {
			list = append(list, v)
		}
	}
	return list
}

func (m *manifests) table(t reflect.Type, path string, depth int) any {
	out := map[string]any{}
	for _, key := range []string{"a", "b"}[:m.IntN(3)] {
		if v := m.value(t.Elem(), path+"{}", depth+1); v != nil {
			out[key] = v
		}
	}
	return out
}

func (m *manifests) object(t reflect.Type, path string, depth int) any {
	if t.Name() == "JSON" {
		m.note(path, true)
		return map[string]any{"off": false, "none": 0, "text": "", "list": []any{}, "half": 0.5, "in": map[string]any{"off": false}}
	}
	if t.PkgPath() != reflect.TypeFor[v1alpha1.Route]().PkgPath() || depth > maxDepth {
		return nil
	}
	out := map[string]any{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" || m.IntN(4) == 0 {
			continue
		}
		if v := m.value(f.Type, path+"."+name, depth+1); v != nil {
			out[name] = v
		}
	}
	return out
}

// plain drops what says the same as nothing: it is compared after defaulting, so
// that a false that stands against a default of true is not among it.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			if v[key] = plain(item); v[key] == nil {
				delete(v, key)
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
		if len(v) == 0 {
			return nil
		}
	case bool:
		if !v {
			return nil
		}
	case int64:
		if v == 0 {
			return nil
		}
	case string:
		if v == "" {
			return nil
		}
	}
	return v
}

// definition gives the schemas of a kind by the paths of its fields.
func definition(t *testing.T, plural string) map[string]apiextensionsv1.JSONSchemaProps {
	t.Helper()
	text := must[[]byte](t)(crds.Files.ReadFile(v1alpha1.GroupVersion.Group + "_" + plural + ".yaml"))
	var d apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	found := map[string]apiextensionsv1.JSONSchemaProps{}
	var walk func(path string, s apiextensionsv1.JSONSchemaProps)
	walk = func(path string, s apiextensionsv1.JSONSchemaProps) {
		found[path] = s
		for name, p := range s.Properties {
			walk(path+"."+name, p)
		}
		if s.Items != nil && s.Items.Schema != nil {
			walk(path+"[]", *s.Items.Schema)
		}
	}
	walk("spec", d.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"])
	return found
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// defaulted reads a manifest as the API server does, and fills in its defaults.
func defaulted(t *testing.T, v *schema.Validator, manifest []byte) any {
	t.Helper()
	object := must[map[string]any](t)(schema.Decode(manifest))
	v.Default(object)
	return plain(object["spec"])
}

// TestAManifestIsTheSameOnEveryWay takes manifests from YAML to JSON to a typed object
// and back to YAML; and what they are translated into from YAML to JSON and back.
// Nothing gets lost, an explicit false and 0 included. C3
func TestAManifestIsTheSameOnEveryWay(t *testing.T) {
	t.Parallel()
	validator := must[*schema.Validator](t)(schema.New())
	kinds := map[string]struct {
		plural string
		object func() any
		fields int
		again  func(t *testing.T, object any)
	}{
		"Gateway":    {"gateways", func() any { return &v1alpha1.Gateway{} }, 80, gatewayAgain},
		"Route":      {"routes", func() any { return &v1alpha1.Route{} }, 50, routeAgain},
		"Middleware": {"middlewares", func() any { return &v1alpha1.Middleware{} }, 3, middlewareAgain},
	}
	for kind, k := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			seen, schemas := map[string]bool{}, definition(t, k.plural)
			for seed := range uint64(400) {
				m := &manifests{rand.New(rand.NewPCG(seed, 1)), seen, schemas} //nolint:gosec // the same on every run
				spec, _ := reflect.TypeOf(k.object()).Elem().FieldByName("Spec")
				text := must[[]byte](t)(yaml.Marshal(map[string]any{
					"apiVersion": v1alpha1.GroupVersion.String(), "kind": kind,
					"metadata": map[string]any{"name": "m", "namespace": "n"}, "spec": m.value(spec.Type, "spec", 0),
				}))
				object := k.object()
				asJSON := must[[]byte](t)(yaml.YAMLToJSON(text))
				if err := yaml.UnmarshalStrict(asJSON, object); err != nil {
					t.Fatalf("%v\n%s", err, text)
				}
				back := must[[]byte](t)(yaml.Marshal(object))
				before, after := defaulted(t, validator, text), defaulted(t, validator, back)
				if !reflect.DeepEqual(before, after) {
					t.Fatalf("seed %d: %s\nis\n%s\nbecame\n%s", seed, text, must[[]byte](t)(yaml.Marshal(before)), must[[]byte](t)(yaml.Marshal(after)))
				}
				k.again(t, object)
			}
			for path, set := range seen {
				if !set {
					t.Errorf("%s was never anything but false or 0", path)
				}
			}
			if len(seen) < k.fields {
				t.Errorf("only %d fields were written", len(seen))
			}
		})
	}
}

func routeAgain(t *testing.T, object any) {
	t.Helper()
	bundleAgain(t, &config.Bundle{Routes: []*config.Route{Route(object.(*v1alpha1.Route), Paths{})}})
}

func middlewareAgain(t *testing.T, object any) {
	t.Helper()
	bundleAgain(t, &config.Bundle{Middlewares: []*config.Middleware{Middleware(object.(*v1alpha1.Middleware))}})
}

// bundleAgain writes a bundle and reads it, as YAML and as JSON.
func bundleAgain(t *testing.T, b *config.Bundle) {
	t.Helper()
	first := must[[]byte](t)(config.MarshalBundle(b))
	read := func(text []byte) *config.Bundle {
		got, problems, err := config.ParseBundle("b", text, config.LoadOptions{Strict: true})
		if err != nil || len(problems) > 0 {
			t.Fatalf("%v, %v\n%s", err, problems, text)
		}
		return got
	}
	asJSON := must[[]byte](t)(json.Marshal(read(first)))
	if last := must[[]byte](t)(config.MarshalBundle(read(asJSON))); string(first) != string(last) {
		t.Fatalf("%s\nbecame\n%s", first, last)
	}
}

func gatewayAgain(t *testing.T, object any) {
	t.Helper()
	f, _ := Gateway(object.(*v1alpha1.Gateway), GatewayOptions{})
	first := must[[]byte](t)(config.MarshalFile(f))
	read := func(text []byte) *config.File {
		env := func(name string) (string, bool) {
			if name == EnvACMERoots { // the only one that everybody may see
				return "***", true
			}
			return "a secret, which is never written", true
		}
		got, problems, err := config.ParseFile("goma.yml", text, config.LoadOptions{Strict: true, Env: env})
		if err != nil || len(problems) > 0 {
			t.Fatalf("%v, %v\n%s", err, problems, text)
		}
		return got
	}
	asJSON := must[[]byte](t)(json.Marshal(read(first)))
	want := regexp.MustCompile(`\$\{\w+}`).ReplaceAllString(string(first), `'***'`)
	if last := must[[]byte](t)(config.MarshalFile(read(asJSON))); want != strings.ReplaceAll(string(last), `"***"`, `'***'`) {
		t.Fatalf("%s\nbecame\n%s", first, last)
	}
}
