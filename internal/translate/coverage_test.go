// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
)

// field is a leaf of a spec: how it is written, and a way to set it.
type field struct {
	path string
	set  func(spec reflect.Value)
}

// leaves lists the fields below a type. Each set fills what is on the way to it.
func leaves(t reflect.Type, path string, at func(reflect.Value) reflect.Value) []field {
	switch t.Kind() {
	case reflect.Pointer:
		return leaves(t.Elem(), path, func(root reflect.Value) reflect.Value {
			v := at(root)
			if v.IsNil() {
				v.Set(reflect.New(t.Elem()))
			}
			return v.Elem()
		})
	case reflect.Slice:
		return leaves(t.Elem(), path+"[0]", func(root reflect.Value) reflect.Value {
			v := at(root)
			if v.Len() == 0 {
				v.Set(reflect.MakeSlice(t, 1, 1))
			}
			return v.Index(0)
		})
	case reflect.Struct:
		var list []field
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			list = append(list, leaves(t.Field(i).Type, path+"."+name, func(root reflect.Value) reflect.Value {
				return at(root).Field(i)
			})...)
		}
		return list
	}
	return []field{{path, func(root reflect.Value) { give(at(root)) }}}
}

// give sets a leaf to another value than it has.
func give(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("7m")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int:
		v.SetInt(v.Int() + 7)
	default:
		panic(fmt.Sprintf("no value for %s", v.Type()))
	}
}

// TestEveryFieldOfARouteReachesTheBundle sets one field after the other. Those
// that point at a Secret must also be among the needed Secrets.
func TestEveryFieldOfARouteReachesTheBundle(t *testing.T) { // T1, T2, C7
	t.Parallel()
	all := leaves(reflect.TypeFor[v1alpha1.RouteSpec](), "spec", func(v reflect.Value) reflect.Value { return v })
	if len(all) < 30 {
		t.Fatalf("found only %d fields", len(all))
	}
	for _, f := range all {
		t.Run(f.path, func(t *testing.T) {
			t.Parallel()
			// A base in which the object around the field is there, so that the
			// difference is the field and not its surroundings.
			base := surroundings(f.path)
			changed := base.DeepCopy()
			f.set(reflect.ValueOf(&changed.Spec).Elem())
			before := Bundle(Input{Gateway: gatewayName, Routes: []*v1alpha1.Route{base}})
			after := Bundle(Input{Gateway: gatewayName, Routes: []*v1alpha1.Route{changed}})
			if text(t, before) == text(t, after) {
				t.Errorf("%s makes no difference", f.path)
			}
			if !strings.Contains(strings.ToLower(f.path), "secret") {
				return
			}
			var found bool
			for _, use := range after.Secrets {
				found = found || use.Secret.Name == "7m" && use.Secret.Namespace == "default" && use.UsedBy[0].Field == f.path // T4
			}
			if !found {
				t.Errorf("%s is not among the needed Secrets: %+v", f.path, after.Secrets)
			}
		})
	}
}

func surroundings(path string) *v1alpha1.Route {
	r := route("r")
	switch {
	case strings.HasPrefix(path, "spec.gateways"):
		r.Spec.Gateways = []string{"gateway"}
	case strings.HasPrefix(path, "spec.backends[0].match"):
		r.Spec.Backends = []v1alpha1.Backend{{Match: []v1alpha1.BackendMatch{{}}}}
	case strings.HasPrefix(path, "spec.backends"):
		r.Spec.Backends = []v1alpha1.Backend{{}}
	case strings.HasPrefix(path, "spec.healthCheck"):
		r.Spec.HealthCheck = &v1alpha1.HealthCheck{}
	case strings.HasPrefix(path, "spec.loadBalancing"):
		r.Spec.LoadBalancing = &v1alpha1.LoadBalancing{HashOn: &v1alpha1.HashOn{}, Sticky: &v1alpha1.Sticky{}}
	case strings.HasPrefix(path, "spec.outlierDetection"):
		r.Spec.OutlierDetection = &v1alpha1.OutlierDetection{}
	case strings.HasPrefix(path, "spec.timeouts"):
		r.Spec.Timeouts = &v1alpha1.RouteTimeouts{}
	case strings.HasPrefix(path, "spec.security"):
		yes := true
		r.Spec.Security = &v1alpha1.RouteSecurity{ForwardHostHeaders: &yes, TLS: &v1alpha1.BackendTLS{}}
	case strings.HasPrefix(path, "spec.tls"):
		r.Spec.TLS = &v1alpha1.RouteTLS{SecretName: "old"}
	case strings.HasPrefix(path, "spec.maintenance"):
		r.Spec.Maintenance = &v1alpha1.Maintenance{}
	case path == "spec.enabled":
		yes := true
		r.Spec.Enabled = &yes
	}
	return r
}

func TestNamesBecomePathsOnlyWhenTheyAreNames(t *testing.T) { // T8
	t.Parallel()
	for _, name := range []string{"../../etc", "/etc/passwd", "..", "a/b", "", "UPPER", "a b", "rest@internal", "x\n"} {
		r := route("r")
		r.Spec.TLS = &v1alpha1.RouteTLS{SecretName: name, ClientAuth: &v1alpha1.RouteClientAuth{CASecret: name}}
		r.Spec.Security = &v1alpha1.RouteSecurity{TLS: &v1alpha1.BackendTLS{RootCAsSecret: name, ClientCertSecret: name}}
		got := Route(r, Paths{RouteCerts: "/certs"})
		paths := []string{got.TLS.Certificate.Cert, got.TLS.Certificate.Key.Reveal(), got.TLS.ClientAuth.ClientCA}
		if name != "" {
			paths = append(paths, got.Security.TLS.RootCAs, got.Security.TLS.ClientCert, got.Security.TLS.ClientKey.Reveal())
		}
		for _, p := range paths {
			if !strings.HasPrefix(p, "/certs/!/") {
				t.Errorf("%q became %s", name, p)
			}
		}
		if out := Bundle(Input{Gateway: gatewayName, Routes: []*v1alpha1.Route{r}}); len(out.Bundle.Routes) != 0 || len(out.Problems) == 0 {
			t.Errorf("%q is served or not reported", name)
		}
	}
}

func TestEndpointsLoseOnlyTheSlashesAtTheirEnd(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"http://a":           "http://a",
		"http://a/":          "http://a",
		"http://a:80//":      "http://a:80",
		"https://a/base/":    "https://a/base",
		"https://a/base":     "https://a/base",
		"h2c://a/":           "h2c://a",
		"http://a/x?y=1/":    "http://a/x?y=1/",
		"":                   "",
		"/":                  "/",
		"http://":            "http://",
		"not a url/":         "not a url/",
		"http://[::1]:8080/": "http://[::1]:8080",
	}
	for url, want := range tests {
		if got := endpoint(url); got != want {
			t.Errorf("%q became %q, want %q", url, got, want)
		}
	}
}
