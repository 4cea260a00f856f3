// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/k8sprovider"
	"gateway.jkaninda.dev/goma/internal/translate"
	"gateway.jkaninda.dev/goma/internal/wire"
)

// expected is what an operator computes from the objects of the moment.
func (s *sidecarScene) expected(o k8sprovider.Options) string {
	s.Helper()
	var routes v1alpha1.RouteList
	var middlewares v1alpha1.MiddlewareList
	if err := s.List(s.Context(), &routes, client.InNamespace(s.ns)); err != nil {
		s.Fatal(err)
	}
	if err := s.List(s.Context(), &middlewares, client.InNamespace(s.ns)); err != nil {
		s.Fatal(err)
	}
	in := translate.Input{
		Gateway: types.NamespacedName{Namespace: s.ns, Name: "gateway"},
		Paths:   translate.Paths{RouteCerts: o.CertsDir},
	}
	for i := range routes.Items {
		in.Routes = append(in.Routes, &routes.Items[i])
	}
	for i := range middlewares.Items {
		in.Middlewares = append(in.Middlewares, &middlewares.Items[i])
	}
	return wire.Checksum(translate.Bundle(in).Bundle)
}

func TestSidecarDeliversRoutesAsTheyAreCreatedEditedAndDeleted(t *testing.T) {
	t.Parallel()
	s := newSidecarScene(t)
	o := s.sidecarDirs()
	c := s.start(o)
	c.wait(map[string]string{})

	a := s.route("a", "http://a/")
	a.Spec.Middlewares = []string{"m"}
	s.create(a)
	s.create(s.middleware("m", `{"setHeaders":{"X-B":"<1>","X-A":"2"},"n":1.50}`))
	s.create(s.route("b", "http://b"))
	c.wait(map[string]string{"a": "http://a", "b": "http://b"})
	s.until("the Middleware is delivered", func() error {
		if n := len(c.view().Bundle.Middlewares); n != 1 {
			return fmt.Errorf("%d middlewares", n)
		}
		return nil
	})
	if got, want := c.view().Checksum, s.expected(o); got != want {
		t.Errorf("the sidecar committed %s, the operator expects %s", got, want)
	}
	b := c.view().Bundle.Routes[slices.IndexFunc(c.view().Bundle.Routes, func(r *configRoute) bool { return r.Name == "b" })]

	edit(s, a, func(r *v1alpha1.Route) { r.Spec.Target = "http://a2" })
	c.wait(map[string]string{"a": "http://a2", "b": "http://b"})
	if !slices.Contains(c.view().Bundle.Routes, b) {
		t.Error("an edit of one route replaced another")
	}
	edit(s, s.middleware("m", ""), func(m *v1alpha1.Middleware) { m.Spec.Rule.Raw = []byte(`{"setHeaders":{"X-C":"3"}}`) })
	s.until("the Middleware is delivered", func() error {
		if got := string(c.view().Bundle.Middlewares[0].Rule); got != `{"setHeaders":{"X-C":"3"}}` {
			return fmt.Errorf("rule %s", got)
		}
		return nil
	})
	s.remove(s.route("a", ""))
	c.wait(map[string]string{"b": "http://b"})
	if v := c.view(); len(v.Bundle.Middlewares) != 0 || v.Checksum != s.expected(o) {
		t.Errorf("middlewares %v, checksum %s, want none and %s", v.Bundle.Middlewares, v.Checksum, s.expected(o))
	}
}

func TestSidecarIsIdleWhenNothingOfItsOwnChanges(t *testing.T) { // K2
	t.Parallel()
	s := newSidecarScene(t)
	c := s.start(s.sidecarDirs())
	a := s.route("a", "http://a")
	a.Spec.Middlewares = []string{"m"}
	s.create(s.middleware("m", `{"n":1}`))
	s.create(a)
	c.wait(map[string]string{"a": "http://a"})
	s.until("the Middleware is delivered", func() error {
		if len(c.view().Bundle.Middlewares) == 0 {
			return fmt.Errorf("no middleware")
		}
		return nil
	})
	before := c.view().Generation

	for i := range 20 {
		a.Status.GatewayGeneration = int64(i)
		if err := s.Status().Update(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		edit(s, a, func(r *v1alpha1.Route) { metav1.SetMetaDataAnnotation(&r.ObjectMeta, "x", fmt.Sprint(i)) })
	}
	bystander := s.route("bystander", "http://x")
	bystander.Spec.Gateways = []string{"other"}
	s.create(bystander)
	edit(s, bystander, func(r *v1alpha1.Route) { r.Spec.Target = "http://y" })
	s.create(s.middleware("unused", `{"n":1}`))
	edit(s, s.middleware("unused", ""), func(m *v1alpha1.Middleware) { m.Spec.Rule.Raw = []byte(`{"n":2}`) })

	// What comes behind them in the same watches shows that they have been seen.
	edit(s, s.middleware("m", ""), func(m *v1alpha1.Middleware) { m.Spec.Rule.Raw = []byte(`{"n":9}`) })
	s.until("the Middleware is delivered", func() error {
		if got := string(c.view().Bundle.Middlewares[0].Rule); got != `{"n":9}` {
			return fmt.Errorf("rule %s", got)
		}
		return nil
	})
	if g := c.view().Generation; g != before+1 {
		t.Errorf("generation %d, want %d: one change, one commit", g, before+1)
	}
	s.create(s.route("last", "http://last"))
	c.wait(map[string]string{"a": "http://a", "last": "http://last"})
	if g := c.view().Generation; g != before+2 {
		t.Errorf("generation %d, want %d: two changes, two commits", g, before+2)
	}
}

func TestSidecarDeliversTheMiddlewaresOfMonitoring(t *testing.T) { // T2
	t.Parallel()
	s := newSidecarScene(t)
	c := s.start(s.sidecarDirs())
	s.create(s.middleware("guard", `{"n":1}`))
	c.wait(map[string]string{})
	edit(s, &v1alpha1.Gateway{ObjectMeta: metav1.ObjectMeta{Name: "gateway"}}, func(g *v1alpha1.Gateway) {
		g.Spec.Server = &v1alpha1.Server{Monitoring: &v1alpha1.Monitoring{
			EnableMetrics: true, Middleware: &v1alpha1.MonitoringMiddleware{Metrics: []string{"guard"}},
		}}
	})
	s.until("the Middleware is delivered", func() error {
		if m := c.view().Bundle.Middlewares; len(m) != 1 || m[0].Name != "guard" {
			return fmt.Errorf("middlewares %v", m)
		}
		return nil
	})
	edit(s, &v1alpha1.Gateway{ObjectMeta: metav1.ObjectMeta{Name: "gateway"}}, func(g *v1alpha1.Gateway) {
		g.Spec.Server.Monitoring.Middleware = nil
	})
	s.until("the Middleware is gone", func() error {
		if m := c.view().Bundle.Middlewares; len(m) != 0 {
			return fmt.Errorf("middlewares %v", m)
		}
		return nil
	})
}

func TestSidecarTakesABurstTogether(t *testing.T) { // K1
	t.Parallel()
	s := newSidecarScene(t)
	o := s.sidecarDirs()
	c := s.start(o)
	c.wait(map[string]string{})
	const routes, writers = 500, 8
	want := map[string]string{}
	began := time.Now()
	var running sync.WaitGroup
	names := make(chan string)
	for range writers {
		running.Go(func() {
			for name := range names {
				if err := s.Create(t.Context(), s.route(name, "http://"+name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range routes {
		name := fmt.Sprintf("r%03d", i)
		want[name] = "http://" + name
		names <- name
	}
	close(names)
	running.Wait()
	c.wait(want)
	took := time.Since(began)
	v := c.view()
	if most := uint64(took/k8sprovider.DefaultDebounce) + 3; v.Generation > most {
		t.Errorf("%d commits in %s, want at most %d", v.Generation, took, most)
	}
	if v.Checksum != s.expected(o) {
		t.Error("the checksum is not what the operator expects")
	}
}

func TestSidecarKeepsItsFilesWhileTheAPIServerIsAway(t *testing.T) { // K4
	t.Parallel()
	s := newSidecarScene(t)
	s.create(s.route("a", "http://a"))
	s.create(s.route("b", "http://b"))
	wire, cfg := s.newLine()
	o := s.sidecarDirs()
	o.Config = cfg
	first := s.start(o)
	first.wait(map[string]string{"a": "http://a", "b": "http://b"})
	generation := first.view().Generation
	first.stop()

	wire.set(true)
	s.remove(s.route("a", ""))
	s.create(s.route("c", "http://c"))
	second := s.start(o)
	wire.tried(s)
	if err := second.serves(map[string]string{"a": "http://a", "b": "http://b"}); err != nil || second.view().Generation != generation {
		t.Fatalf("without the API server: %v", err)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, body := second.get(path); status != http.StatusOK {
			t.Errorf("%s is %d %q: what is on disk serves", path, status, body)
		}
	}
	wire.set(false)
	second.wait(map[string]string{"b": "http://b", "c": "http://c"})

	// And in the middle of its life: nothing changes, then what was missed comes.
	wire.set(true)
	s.create(s.route("d", "http://d"))
	s.remove(s.route("c", ""))
	wire.tried(s)
	if err := second.serves(map[string]string{"b": "http://b", "c": "http://c"}); err != nil {
		t.Error(err)
	}
	wire.set(false)
	second.wait(map[string]string{"b": "http://b", "d": "http://d"})
}

func TestSidecarIsReadyOnceABundleIsWritten(t *testing.T) { // K5, K6, B1
	t.Parallel()
	s := newSidecarScene(t)
	wire, cfg := s.newLine()
	wire.set(true)
	o := s.sidecarDirs()
	o.Config = cfg
	c := s.start(o)
	if status, _ := c.get("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz is %d while the API server is away", status)
	}
	if status, body := c.get("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "no bundle") {
		t.Errorf("/readyz is %d %q before the first bundle", status, body)
	}
	wire.set(false)
	s.until("ready", func() error {
		if status, body := c.get("/readyz"); status != http.StatusOK {
			return fmt.Errorf("%d %s", status, body)
		}
		return nil
	})
	if c.view() == nil {
		t.Error("ready without a bundle")
	}
	_, metrics := c.get("/metrics")
	for _, want := range []string{"goma_k8s_provider_commits_total 1", "goma_k8s_provider_generation 1"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %q in\n%s", want, metrics)
		}
	}
}
