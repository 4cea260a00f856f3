// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/schema/rules"
)

// naming is a Middleware whose field names a Secret: lists get one object.
func naming(typeName, field string, ref any) *v1alpha1.Middleware {
	value := ref
	names := strings.Split(field+config.From, ".")
	for i := len(names) - 1; i >= 0; i-- {
		name, list := strings.CutSuffix(names[i], "[]")
		if list {
			value = []any{value}
		}
		value = map[string]any{name: value}
	}
	raw, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return &v1alpha1.Middleware{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "m"},
		Spec:       v1alpha1.MiddlewareSpec{Type: typeName, Rule: &apiextensionsv1.JSON{Raw: raw}},
	}
}

func keyRef(name, key string) any {
	return map[string]any{"secretKeyRef": map[string]any{"name": name, "key": key}}
}

// eachSecret visits every field of every rule that can name a Secret.
func eachSecret(t *testing.T, visit func(t *testing.T, typeName, field string)) {
	t.Helper()
	for _, typeName := range rules.Names() {
		for _, field := range rules.Secrets(typeName) {
			t.Run(typeName+"/"+field, func(t *testing.T) {
				t.Parallel()
				visit(t, typeName, field)
			})
		}
	}
}

func using(names ...string) *v1alpha1.Route {
	r := route("r")
	r.Spec.Middlewares = names
	return r
}

func TestEverySecretOfARuleIsNeeded(t *testing.T) { // T2, T4, O7
	t.Parallel()
	eachSecret(t, func(t *testing.T, typeName, field string) {
		m := naming(typeName, field, keyRef("s", "tls.key"))
		want := "spec.rule." + strings.ReplaceAll(field, "[]", "[0]") + "From.secretKeyRef"
		for name, in := range map[string]Input{
			"a Route":    {Gateway: gatewayName, Routes: []*v1alpha1.Route{using("m")}, Middlewares: []*v1alpha1.Middleware{m}},
			"monitoring": {Gateway: gatewayName, Monitoring: []string{"m"}, Middlewares: []*v1alpha1.Middleware{m}},
		} {
			out := Bundle(in)
			if len(out.Problems) != 0 || len(out.Secrets) != 1 {
				t.Fatalf("%s: %+v, %v", name, out.Secrets, out.Problems)
			}
			use := out.Secrets[0]
			if use.Secret.Namespace != "default" || use.Secret.Name != "s" || strings.Join(use.Keys, " ") != "tls.key" {
				t.Errorf("%s: needs %+v", name, use)
			}
			ref := use.UsedBy[0]
			if ref.Field != want || ref.Object.Kind != "Middleware" || ref.Object.Name != "m" {
				t.Errorf("%s: by %s of %s, want %s", name, ref.Field, ref.Object, want)
			}
			// A value is what it is, whatever its key is called.
			if p := ref.Check(map[string][]byte{"tls.key": []byte("x")}); p != nil {
				t.Error(p)
			}
			if p := ref.Check(map[string][]byte{"tls.crt": []byte("x")}); p == nil || p.Reason != config.ReasonSecretInvalid || !strings.Contains(p.Message, "tls.key") {
				t.Errorf("a Secret without the key: %v", p)
			}
			if !strings.Contains(string(out.Bundle.Middlewares[0].Rule), `"secretKeyRef":{"key":"tls.key","name":"s"}`) {
				t.Errorf("the rule is %s", out.Bundle.Middlewares[0].Rule)
			}
		}
		if out := Bundle(Input{Gateway: gatewayName, Routes: []*v1alpha1.Route{route("r")}, Middlewares: []*v1alpha1.Middleware{m}}); len(out.Secrets) != 0 {
			t.Errorf("a Middleware that nobody uses needs %+v", out.Secrets)
		}
	})
}

func TestARuleNamesSecretsOfItsNamespaceOnly(t *testing.T) { // T4, T8
	t.Parallel()
	eachSecret(t, func(t *testing.T, typeName, field string) {
		for _, ref := range []any{
			keyRef("bank/s", "k"), keyRef("../../x", "k"), keyRef("", "k"), keyRef("s", "../k"), keyRef("s", ".."), keyRef("s", ""), keyRef("s", "a/b"),
			keyRef("rest@internal", "k"), map[string]any{"secretKeyRef": map[string]any{"name": "s", "key": "k", "namespace": "bank"}},
			map[string]any{"file": "/etc/passwd"}, "s/k",
		} {
			m := naming(typeName, field, ref)
			out := Bundle(Input{Gateway: gatewayName, Routes: []*v1alpha1.Route{using("m")}, Middlewares: []*v1alpha1.Middleware{m}})
			if len(out.Secrets) != 0 || len(out.Bundle.Middlewares) != 0 || len(out.Problems) != 1 {
				t.Fatalf("%v: needs %+v, problems %v", ref, out.Secrets, out.Problems)
			}
			p := out.Problems[0]
			if p.Object.Kind != "Middleware" || p.Object.Namespace != "default" || !strings.HasPrefix(p.Field, "spec.rule.") || !config.HasErrors(out.Problems) {
				t.Errorf("%v: %s", ref, p)
			}
		}
		other := naming(typeName, field, keyRef("s", "k"))
		other.Namespace = "bank"
		in := Input{Gateway: gatewayName, Routes: []*v1alpha1.Route{using("m")}, Middlewares: []*v1alpha1.Middleware{other}}
		if out := Bundle(in); len(out.Secrets) != 0 {
			t.Errorf("a Middleware of another namespace needs %+v", out.Secrets)
		}
	})
}

func TestTheNeededSecretsFollowEachChange(t *testing.T) { // T2, O10
	t.Parallel()
	s := NewState(gatewayName, Paths{})
	needed := func() string {
		var names []string
		for _, use := range s.Secrets() {
			names = append(names, fmt.Sprintf("%s:%s", use.Secret.Name, strings.Join(use.Keys, ",")))
		}
		return strings.Join(names, " ")
	}
	steps := []struct {
		name   string
		do     func()
		want   string
		signal bool
	}{
		{"a Middleware that nobody uses", func() { s.SetMiddleware(naming("jwt", "secret", keyRef("a", "k"))) }, "", false},
		{"a Route uses it", func() { s.SetRoute(using("m")) }, "a:k", true},
		{"another key", func() { s.SetMiddleware(naming("jwt", "secret", keyRef("a", "l"))) }, "a:l", true},
		{"nothing new", func() { s.SetMiddleware(naming("jwt", "secret", keyRef("a", "l"))) }, "a:l", false},
		{"another Secret", func() { s.SetMiddleware(naming("jwt", "secret", keyRef("b", "l"))) }, "b:l", true},
		{"a mistake", func() { s.SetMiddleware(naming("jwt", "secret", keyRef("b", "/"))) }, "", true},
		{"it is mended", func() { s.SetMiddleware(naming("jwt", "secret", keyRef("b", "l"))) }, "b:l", true},
		{"monitoring uses it too", func() { s.SetMonitoring([]string{"m"}) }, "b:l", false},
		{"the Route goes", func() { s.DeleteRoute("r") }, "b:l", false},
		{"monitoring is open again", func() { s.SetMonitoring(nil) }, "", true},
		{"both are back", func() { s.SetRoute(using("m")) }, "b:l", true},
		{"the Middleware goes", func() { s.DeleteMiddleware("m") }, "", true},
	}
	for _, step := range steps {
		step.do()
		d := s.Take()
		if got := needed(); got != step.want || d.Secrets != step.signal {
			t.Errorf("%s: needed are %q, news %v; want %q, %v", step.name, got, d.Secrets, step.want, step.signal)
		}
	}
}
