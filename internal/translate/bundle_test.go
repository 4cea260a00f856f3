// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

var updateBundles = flag.Bool("update-bundles", false, "write testdata/bundle/*.out.yaml anew")

// scene is a file of testdata/bundle.
type scene struct {
	Gateway    string            `json:"gateway"`
	Monitoring []string          `json:"monitoring"`
	Objects    []json.RawMessage `json:"objects"`
}

func strictly(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict(data, into); err != nil {
		t.Fatal(err)
	}
}

func readScene(t *testing.T, path string) Input {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s scene
	strictly(t, data, &s)
	namespace, name, _ := strings.Cut(s.Gateway, "/")
	in := Input{Gateway: types.NamespacedName{Namespace: namespace, Name: name}, Monitoring: s.Monitoring}
	for _, raw := range s.Objects {
		var head struct {
			Kind string `json:"kind"`
		}
		if err := json.Unmarshal(raw, &head); err != nil {
			t.Fatal(err)
		}
		switch head.Kind {
		case "Route":
			var r v1alpha1.Route
			strictly(t, raw, &r)
			in.Routes = append(in.Routes, &r)
		case "Middleware":
			var m v1alpha1.Middleware
			strictly(t, raw, &m)
			in.Middlewares = append(in.Middlewares, &m)
		default:
			t.Fatalf("kind %q", head.Kind)
		}
	}
	return in
}

// text gives everything of an Output, creation times included.
func text(t *testing.T, out Output) string {
	t.Helper()
	type aged struct {
		Name    string `json:"name"`
		Created string `json:"created"`
	}
	view := struct {
		Bundle   *config.Bundle      `json:"bundle"`
		Ages     []aged              `json:"ages"`
		Problems []string            `json:"problems"`
		Secrets  []resolve.SecretUse `json:"secrets"`
	}{Bundle: out.Bundle, Secrets: out.Secrets}
	for _, r := range out.Bundle.Routes {
		view.Ages = append(view.Ages, aged{r.Meta.Ref.String(), r.Meta.Created.String()})
	}
	for _, m := range out.Bundle.Middlewares {
		view.Ages = append(view.Ages, aged{m.Meta.Ref.String(), m.Meta.Created.String()})
	}
	for _, p := range out.Problems {
		view.Problems = append(view.Problems, p.String())
	}
	data, err := yaml.Marshal(view)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestBundleGolden(t *testing.T) {
	t.Parallel()
	scenes, err := filepath.Glob("testdata/bundle/*.in.yaml")
	if err != nil || len(scenes) == 0 {
		t.Fatalf("no scenes: %v", err)
	}
	for _, path := range scenes {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			got := text(t, Bundle(readScene(t, path)))
			golden := strings.TrimSuffix(path, ".in.yaml") + ".out.yaml"
			if *updateBundles {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s is\n%s\nwant\n%s", path, got, want)
			}
		})
	}
}

// TestGoldenBundlesAreWhatTheGatewayTakes keeps a golden file from being pretty
// and wrong.
func TestGoldenBundlesAreWhatTheGatewayTakes(t *testing.T) { // C5
	t.Parallel()
	scenes, err := filepath.Glob("testdata/bundle/*.in.yaml")
	if err != nil || len(scenes) == 0 {
		t.Fatalf("no scenes: %v", err)
	}
	for _, path := range scenes {
		out := Bundle(readScene(t, path))
		for _, r := range out.Bundle.Routes {
			if problems := config.ValidateRoute(r); config.HasErrors(problems) {
				t.Errorf("%s: route %s: %v", path, r.Name, problems)
			}
		}
		for _, m := range out.Bundle.Middlewares {
			if problems := config.ValidateMiddleware(m); config.HasErrors(problems) {
				t.Errorf("%s: middleware %s: %v", path, m.Name, problems)
			}
		}
	}
}

func TestSameObjectsInAnyOrderGiveTheSameOutput(t *testing.T) { // T3
	t.Parallel()
	scenes, err := filepath.Glob("testdata/bundle/*.in.yaml")
	if err != nil || len(scenes) == 0 {
		t.Fatalf("no scenes: %v", err)
	}
	for _, path := range scenes {
		in := readScene(t, path)
		want := text(t, Bundle(in))
		for range 20 {
			rand.Shuffle(len(in.Routes), func(i, j int) { in.Routes[i], in.Routes[j] = in.Routes[j], in.Routes[i] })
			rand.Shuffle(len(in.Middlewares), func(i, j int) {
				in.Middlewares[i], in.Middlewares[j] = in.Middlewares[j], in.Middlewares[i]
			})
			if got := text(t, Bundle(in)); got != want {
				t.Fatalf("%s: another order gave\n%s\nwant\n%s", path, got, want)
			}
		}
	}
}

func TestBundleSharesNoMemoryWithItsInput(t *testing.T) {
	t.Parallel()
	in := readScene(t, "testdata/bundle/everything.in.yaml")
	out := Bundle(in)
	want := text(t, out)
	for _, r := range in.Routes {
		scramble(reflect.ValueOf(&r.Spec).Elem())
	}
	for _, m := range in.Middlewares {
		scramble(reflect.ValueOf(&m.Spec).Elem())
	}
	if got := text(t, out); got != want {
		t.Errorf("a change of the input changed the output:\n%s\nwant\n%s", got, want)
	}
}

// scramble changes every value below v in place.
func scramble(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			scramble(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			scramble(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			scramble(v.Index(i))
		}
	case reflect.String:
		v.SetString("scrambled")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8:
		v.SetUint('x')
	}
}

func TestEqualRulesAreEqualBytes(t *testing.T) { // T3, K2
	t.Parallel()
	tests := []struct{ name, a, b, want string }{
		{"keys in another order", `{"b":1,"a":{"d":2,"c":3}}`, `{"a":{"c":3,"d":2},"b":1}`, `{"a":{"c":3,"d":2},"b":1}`},
		{"spaces", `{ "a" : [1, 2] }`, `{"a":[1,2]}`, `{"a":[1,2]}`},
		{"numbers stay as written", `{"a":12345678901234567890,"b":1.50}`, `{"b":1.50,"a":12345678901234567890}`, `{"a":12345678901234567890,"b":1.50}`},
		{"explicit false and zero stay", `{"a":false,"b":0,"c":"","d":null}`, `{"d":null,"c":"","b":0,"a":false}`, `{"a":false,"b":0,"c":"","d":null}`}, // C3
		{"text is not escaped for HTML", `{"a":"<&>"}`, `{"a":"\u003c\u0026\u003e"}`, `{"a":"<&>"}`},
		{"an encrypted rule is text", `"-----BEGIN PGP MESSAGE-----\nx"`, `"-----BEGIN PGP MESSAGE-----\u000ax"`, `"-----BEGIN PGP MESSAGE-----\nx"`},
		{"null is none", `null`, ``, ``},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a, b := Middleware(middleware("m", test.a)).Rule, Middleware(middleware("m", test.b)).Rule
			if string(a) != test.want || string(b) != test.want {
				t.Errorf("got %s and %s, want %s", a, b, test.want)
			}
		})
	}
}

func TestMiddlewareWhoseRuleIsNoJSONIsSetAside(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{`{"a":`, `{} {}`, `nothing`} {
		r := route("r")
		r.Spec.Middlewares = []string{"broken", "good"}
		out := Bundle(Input{
			Gateway:     gatewayName,
			Routes:      []*v1alpha1.Route{r},
			Middlewares: []*v1alpha1.Middleware{middleware("broken", rule), middleware("good", `{}`)},
		})
		if len(out.Bundle.Middlewares) != 1 || out.Bundle.Middlewares[0].Name != "good" || len(out.Bundle.Routes) != 1 {
			t.Errorf("%s: want the good Middleware and the Route", rule)
		}
		if len(out.Problems) != 1 || out.Problems[0].Object.Name != "broken" || out.Problems[0].Field != "spec.rule" {
			t.Errorf("%s: problems %v", rule, out.Problems)
		}
	}
}
