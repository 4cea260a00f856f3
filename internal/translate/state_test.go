// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"math/rand/v2"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
)

var gatewayName = types.NamespacedName{Namespace: "default", Name: "gateway"}

func route(name string) *v1alpha1.Route {
	return &v1alpha1.Route{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		Spec:       v1alpha1.RouteSpec{Gateways: []string{"gateway"}, Path: "/" + name, Target: "http://x"},
	}
}

func middleware(name, rule string) *v1alpha1.Middleware {
	return &v1alpha1.Middleware{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		Spec:       v1alpha1.MiddlewareSpec{Type: "basicAuth", Rule: &apiextensionsv1.JSON{Raw: []byte(rule)}},
	}
}

// mirror keeps a Bundle by applying Deltas, as a sidecar does on disk.
type mirror struct {
	routes      map[string]*config.Route
	middlewares map[string]*config.Middleware
}

func (m *mirror) apply(d Delta) {
	for _, r := range d.Routes {
		m.routes[r.Name] = r
	}
	for _, x := range d.Middlewares {
		m.middlewares[x.Name] = x
	}
	for _, name := range d.GoneRoutes {
		delete(m.routes, name)
	}
	for _, name := range d.GoneMiddlewares {
		delete(m.middlewares, name)
	}
}

// TestStateComesToTheSameAsBundle changes objects at random, and demands after
// each change that the State, the sum of its Deltas, and Bundle agree.
func TestStateComesToTheSameAsBundle(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	s := NewState(gatewayName, Paths{})
	disk := &mirror{map[string]*config.Route{}, map[string]*config.Middleware{}}
	routes, middlewares := map[string]*v1alpha1.Route{}, map[string]*v1alpha1.Middleware{}
	var monitoring []string
	pick := func(prefix string) string { return fmt.Sprint(prefix, random.IntN(5)) }

	for step := range 1000 {
		switch random.IntN(6) {
		case 0, 1:
			r := randomRoute(random, pick)
			routes[r.Name] = r
			s.SetRoute(r)
		case 2:
			name := pick("r")
			delete(routes, name)
			s.DeleteRoute(name)
		case 3:
			m := middleware(pick("m"), fmt.Sprintf(`{"n":%d}`, random.IntN(3)))
			middlewares[m.Name] = m
			s.SetMiddleware(m)
		case 4:
			name := pick("m")
			delete(middlewares, name)
			s.DeleteMiddleware(name)
		case 5:
			monitoring = nil
			for range random.IntN(3) {
				monitoring = append(monitoring, pick("m"))
			}
			s.SetMonitoring(monitoring)
		}
		in := Input{Gateway: gatewayName, Monitoring: monitoring}
		for _, r := range routes {
			in.Routes = append(in.Routes, r)
		}
		for _, m := range middlewares {
			in.Middlewares = append(in.Middlewares, m)
		}
		want := text(t, Bundle(in))
		if got := text(t, s.Output()); got != want {
			t.Fatalf("step %d: the State is\n%s\nwant\n%s", step, got, want)
		}
		if random.IntN(3) > 0 {
			continue // several changes in one Delta
		}
		disk.apply(s.Take())
		out := s.Output()
		if len(disk.routes) != len(out.Bundle.Routes) || len(disk.middlewares) != len(out.Bundle.Middlewares) {
			t.Fatalf("step %d: the Deltas sum up to %d routes and %d middlewares, want %d and %d", step,
				len(disk.routes), len(disk.middlewares), len(out.Bundle.Routes), len(out.Bundle.Middlewares))
		}
		for _, r := range out.Bundle.Routes {
			if disk.routes[r.Name] != r {
				t.Fatalf("step %d: the Deltas have another version of route %s", step, r.Name)
			}
		}
		for _, m := range out.Bundle.Middlewares {
			if disk.middlewares[m.Name] != m {
				t.Fatalf("step %d: the Deltas have another version of middleware %s", step, m.Name)
			}
		}
	}
}

func randomRoute(random *rand.Rand, pick func(string) string) *v1alpha1.Route {
	r := route(pick("r"))
	r.Spec.Priority = random.IntN(3)
	for range random.IntN(3) {
		r.Spec.Middlewares = append(r.Spec.Middlewares, pick("m"))
	}
	switch random.IntN(6) {
	case 0:
		r.Spec.Gateways = []string{"other"}
	case 1:
		r.Spec.TLS = &v1alpha1.RouteTLS{SecretName: pick("s")}
	case 2:
		r.Spec.TLS = &v1alpha1.RouteTLS{SecretName: "not/a/name"}
	}
	return r
}

func TestOnlyWhatChangesIsInTheDelta(t *testing.T) { // K2
	t.Parallel()
	s := NewState(gatewayName, Paths{})
	a := route("a")
	a.Spec.Middlewares = []string{"m"}
	s.SetRoute(a)
	s.SetRoute(route("b"))
	s.SetMiddleware(middleware("m", `{}`))
	s.SetMiddleware(middleware("unused", `{}`))
	if d := s.Take(); len(d.Routes) != 2 || len(d.Middlewares) != 1 {
		t.Fatalf("the first delta is %+v", d)
	}
	quiet := map[string]func(){
		"a change of the status only": func() {
			touched := a.DeepCopy()
			touched.Status.Ready = true
			touched.ResourceVersion, touched.Labels = "7", map[string]string{"x": "y"}
			s.SetRoute(touched)
		},
		"one more Gateway in the list": func() {
			touched := a.DeepCopy()
			touched.Spec.Gateways = []string{"gateway", "other"}
			s.SetRoute(touched)
		},
		"a Route of another Gateway": func() {
			other := route("x")
			other.Spec.Gateways = []string{"other"}
			s.SetRoute(other)
			s.DeleteRoute("x")
		},
		"a Route of another namespace with a name of ours": func() { // T4
			other := route("a")
			other.Namespace = "elsewhere"
			s.SetRoute(other)
		},
		"a Middleware of another namespace with a name of ours": func() { // T4
			other := middleware("m", `{"evil":true}`)
			other.Namespace = "elsewhere"
			s.SetMiddleware(other)
		},
		"a Middleware that nobody uses": func() { s.SetMiddleware(middleware("unused", `{"n":2}`)) },
		"a Middleware as it was":        func() { s.SetMiddleware(middleware("m", ` {} `)) },
		"monitoring without a name":     func() { s.SetMonitoring(nil) },
	}
	for name, change := range quiet {
		change()
		if d := s.Take(); !d.Empty() {
			t.Errorf("%s gave %+v", name, d)
		}
	}
	changed := a.DeepCopy()
	changed.Spec.TLS = &v1alpha1.RouteTLS{SecretName: "s"}
	s.SetRoute(changed)
	if d := s.Take(); len(d.Routes) != 1 || len(d.Middlewares) != 0 || !d.Secrets {
		t.Errorf("a new Secret gave %+v", d)
	}
	s.SetMonitoring([]string{"unused"})
	if d := s.Take(); len(d.Middlewares) != 1 || d.Middlewares[0].Name != "unused" { // T2
		t.Errorf("monitoring gave %+v", d)
	}
	moved := changed.DeepCopy()
	moved.Spec.Gateways = []string{"other"}
	s.SetRoute(moved)
	if d := s.Take(); len(d.GoneRoutes) != 1 || len(d.GoneMiddlewares) != 1 || !d.Secrets {
		t.Errorf("a Route that left the Gateway gave %+v", d)
	}
}
