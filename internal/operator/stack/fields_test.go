// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/operator/stack"
	"gateway.jkaninda.dev/goma/internal/translate"
)

// leaf is a field of a Gateway that has no fields of this API below it.
type leaf struct {
	path string
	at   func(spec reflect.Value) reflect.Value
}

// leaves lists the fields below a type. at makes what is on the way to them.
func leaves(t reflect.Type, path string, at func(reflect.Value) reflect.Value) (list []leaf) {
	switch {
	case t.Kind() == reflect.Pointer && ours(t.Elem()):
		return leaves(t.Elem(), path, func(spec reflect.Value) reflect.Value {
			v := at(spec)
			if v.IsNil() {
				v.Set(reflect.New(t.Elem()))
			}
			return v.Elem()
		})
	case t.Kind() == reflect.Slice && ours(t.Elem()):
		return leaves(t.Elem(), path+"[0]", func(spec reflect.Value) reflect.Value {
			v := at(spec)
			if v.Len() == 0 {
				v.Set(reflect.MakeSlice(t, 1, 1))
			}
			return v.Index(0)
		})
	case ours(t):
		for f := range t.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			list = append(list, leaves(f.Type, path+"."+name, func(spec reflect.Value) reflect.Value { return at(spec).FieldByIndex(f.Index) })...)
		}
		return list
	}
	return []leaf{{path, at}}
}

func ours(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.PkgPath() == reflect.TypeFor[v1alpha1.Gateway]().PkgPath()
}

// fill gives a value something in all its parts; equal n give equal things.
func fill(v reflect.Value, n, depth int) {
	switch v.Interface().(type) {
	case resource.Quantity:
		v.Set(reflect.ValueOf(*resource.NewQuantity(int64(n), resource.DecimalSI)))
		return
	case intstr.IntOrString:
		v.Set(reflect.ValueOf(intstr.FromInt32(int32(n)))) //nolint:gosec // a small number
		return
	}
	if depth > 6 {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n, depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), n, depth+1)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n, depth+1)
	case reflect.Map:
		key, element := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		key.SetString("key")
		fill(element, n, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, element)
	case reflect.String:
		v.SetString(fmt.Sprintf("%dm", n)) // a duration too
	case reflect.Bool:
		v.SetBool(n%2 == 1)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(n))
	default:
		panic("no value for " + v.Type().String())
	}
}

// bases are Gateways around a field, of which at least one must show it: what a field
// does may depend on another.
var bases = map[string]func(spec *v1alpha1.GatewaySpec){
	"nothing else":    func(*v1alpha1.GatewaySpec) {},
	"everything else": func(spec *v1alpha1.GatewaySpec) { fill(reflect.ValueOf(spec).Elem(), 1, -100) },
	"without a sidecar": func(spec *v1alpha1.GatewaySpec) {
		fill(reflect.ValueOf(spec).Elem(), 1, -100)
		spec.Providers.Kubernetes.Enabled = new(false)
	},
	"without autoscaling": func(spec *v1alpha1.GatewaySpec) {
		fill(reflect.ValueOf(spec).Elem(), 1, -100)
		spec.AutoScaling = nil
	},
	"a LoadBalancer": func(spec *v1alpha1.GatewaySpec) {
		fill(reflect.ValueOf(spec).Elem(), 1, -100)
		spec.Service.Type = "LoadBalancer"
	},
	"a NodePort": func(spec *v1alpha1.GatewaySpec) {
		fill(reflect.ValueOf(spec).Elem(), 1, -100)
		spec.Service.Type = "NodePort"
	},
	"sources":             sources,
	"a token for Git":     auth("token"),
	"a password for Git":  auth("basic"),
	"a key for Git":       auth("ssh"),
	"a challenge by DNS":  challenge("dns-01"),
	"a challenge by HTTP": challenge("http-01"),
	"neither Redis nor DNS": func(spec *v1alpha1.GatewaySpec) {
		challenge("http-01")(spec)
		spec.Server.Redis = nil
	},
}

func auth(kind string) func(spec *v1alpha1.GatewaySpec) {
	return func(spec *v1alpha1.GatewaySpec) {
		fill(reflect.ValueOf(spec).Elem(), 1, -100)
		spec.Providers.Git.Auth.Type = kind
	}
}

func challenge(kind string) func(spec *v1alpha1.GatewaySpec) {
	return func(spec *v1alpha1.GatewaySpec) {
		fill(reflect.ValueOf(spec).Elem(), 1, -100)
		spec.CertManager.ACME.ChallengeType = kind
	}
}

// sources are those that a gateway would take.
func sources(spec *v1alpha1.GatewaySpec) {
	spec.Providers = &v1alpha1.Providers{
		HTTP: &v1alpha1.HTTPProvider{Enabled: true, Endpoint: "https://a.example/routes", Interval: "1m"},
		Git:  &v1alpha1.GitProvider{Enabled: true, URL: "https://a.example/routes.git", Interval: "1m"},
	}
}

// values are those of fields that not every text is one of.
var values = map[string]string{
	"spec.providers.http.endpoint": "https://b.example/routes",
	"spec.providers.http.cacheDir": "/var/cache/b",
	"spec.providers.git.url":       "https://b.example/routes.git",
	"spec.providers.git.cloneDir":  "/var/lib/b",
}

// withoutEffect are fields that do nothing, and why.
var withoutEffect = map[string]string{
	"spec.server.monitoring.enableLiveness":  "liveness is always served, and the field's description says so",
	"spec.server.monitoring.enableReadiness": "readiness is always served, and the field's description says so",
}

// TestEveryFieldOfAGatewayReachesItsObjects sets one field after the other and wants
// the objects of the Gateway, goma.yml among them, to differ. C7, T1
func TestEveryFieldOfAGatewayReachesItsObjects(t *testing.T) {
	t.Parallel()
	all := leaves(reflect.TypeFor[v1alpha1.GatewaySpec](), "spec", func(spec reflect.Value) reflect.Value { return spec })
	if len(all) < 100 {
		t.Fatalf("found only %d fields", len(all))
	}
	for _, f := range all {
		t.Run(f.path, func(t *testing.T) {
			t.Parallel()
			shown := false
			for _, base := range bases {
				before := gateway(func(gw *v1alpha1.Gateway) { base(&gw.Spec) })
				f.at(reflect.ValueOf(&before.Spec).Elem()) // what is around it is there
				after := before.DeepCopy()
				change(f, after)
				if !bytes.Equal(rendered(t, before), rendered(t, after)) {
					shown = true
					break
				}
			}
			if why := withoutEffect[f.path]; shown == (why != "") {
				t.Errorf("it makes a difference: %v; the list says %q", shown, why)
			}
		})
	}
}

// change gives a field another value than any base has.
func change(f leaf, gw *v1alpha1.Gateway) {
	v := f.at(reflect.ValueOf(&gw.Spec).Elem())
	if text, ok := values[f.path]; ok {
		v.SetString(text)
		return
	}
	was := v.IsZero()
	if fill(v, 2, -100); was && v.IsZero() { // a boolean that was not set
		fill(v, 3, -100)
	}
}

// rendered gives the objects of a Gateway.
func rendered(t *testing.T, gw *v1alpha1.Gateway) []byte {
	t.Helper()
	file, _ := translate.Gateway(gw, translate.GatewayOptions{})
	cfg, err := stack.NewConfig(gw, file)
	if err != nil {
		t.Fatal(err)
	}
	out := render(t, stack.Build(stack.Input{Gateway: gw, Config: cfg}))
	for _, o := range stack.Store(gw) {
		out = fmt.Appendf(out, "%T %s\n", o, o.GetName())
	}
	return out
}
