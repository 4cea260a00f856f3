// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package k8sprovider

import (
	"context"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/translate"
	"gateway.jkaninda.dev/goma/internal/wire"
)

// rig is an engine whose API server is the test. It runs in a synctest bubble, so
// that time passes only when the test lets it.
type rig struct {
	t        *testing.T
	ctx      context.Context
	engine   *engine
	out      string
	certs    string
	reader   *wire.Reader
	problems []config.Problem
	told     int
	log      *strings.Builder
}

func newRig(t *testing.T, out, certs string) *rig {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	writer, err := wire.NewWriter(out)
	if err != nil {
		t.Fatal(err)
	}
	store, err := openCertStore(certs)
	if err != nil {
		t.Fatal(err)
	}
	gateway := types.NamespacedName{Namespace: "default", Name: "gateway"}
	r := &rig{t: t, ctx: ctx, out: out, certs: certs, reader: wire.NewReader(out), log: &strings.Builder{}}
	r.engine = &engine{
		log:     slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		gateway: gateway, debounce: DefaultDebounce, metrics: newMetrics(),
		state:  translate.NewState(gateway, translate.Paths{RouteCerts: certs}),
		writer: writer, certs: store,
		secrets: newSecretWatches(ctx, func(ctx context.Context, _ string, _ *secret) { <-ctx.Done() }),
		changed: func(p []config.Problem) { r.problems, r.told = p, r.told+1 },
		events:  make(chan func(), 16), unneeded: map[string]farewell{}, pending: pending{},
		unlisted: map[string]bool{"routes": true, "middlewares": true, "gateways": true},
	}
	done := make(chan struct{})
	go func() {
		r.engine.run(ctx)
		r.engine.secrets.wait()
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		_ = writer.Close()
		_ = r.reader.Close()
	})
	return r
}

// bubble runs a test with a rig on fresh directories.
func bubble(t *testing.T, test func(r *rig)) {
	t.Helper()
	out, certs := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) { test(newRig(t, out, certs)) })
}

// do is an event, of which the engine has done what it does at once.
func (r *rig) do(event func()) {
	r.engine.send(r.ctx, event)
	synctest.Wait()
}

func (r *rig) routes(c change)      { r.do(func() { r.engine.takeRoutes(c) }) }
func (r *rig) middlewares(c change) { r.do(func() { r.engine.takeMiddlewares(c) }) }
func (r *rig) gateway(c change)     { r.do(func() { r.engine.takeGateway(c) }) }

// secret is news of a needed Secret; nil data is that there is none.
func (r *rig) secret(name string, data map[string][]byte) {
	r.t.Helper()
	var c change
	if data != nil {
		c = some(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Data: data})
	}
	s := r.engine.secrets.byName[name]
	if s == nil {
		r.t.Fatalf("Secret %s is not watched", name)
	}
	r.do(func() { r.engine.takeSecret(s, c) })
}

// list lists everything: these routes, and nothing else.
func (r *rig) list(routes ...metav1.Object) {
	r.routes(change{whole: true, set: routes})
	r.middlewares(change{whole: true})
	r.gateway(change{whole: true})
}

func (r *rig) generation() uint64 {
	var g uint64
	r.do(func() { g = r.engine.writer.Generation() })
	return g
}

// view is what a gateway would see; nil before the first commit.
func (r *rig) view() *wire.View {
	r.t.Helper()
	v, _, err := r.reader.Read()
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

// wantRoutes compares names and targets of what a gateway would see.
func (r *rig) wantRoutes(want map[string]string) {
	r.t.Helper()
	v := r.view()
	if v == nil {
		r.t.Fatalf("nothing is committed, want %v", want)
	}
	got := map[string]string{}
	for _, x := range v.Bundle.Routes {
		got[x.Name] = x.Target
	}
	if !maps.Equal(got, want) {
		r.t.Fatalf("generation %d holds %v, want %v", v.Generation, got, want)
	}
}

// rest lets the window pass in which events are taken together.
func (r *rig) rest() {
	time.Sleep(DefaultDebounce)
	synctest.Wait()
}

func (r *rig) wantProblem(object string, reason config.Reason, severity config.Severity) {
	r.t.Helper()
	r.rest()
	for _, p := range r.problems {
		if p.Object.Name == object && p.Reason == reason && p.Severity == severity {
			return
		}
	}
	r.t.Errorf("no problem %s %q of %s in %v", reason, severity, object, r.problems)
}

func some(objects ...metav1.Object) change { return change{set: objects} }

func route(name, target string) *v1alpha1.Route {
	return &v1alpha1.Route{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		Spec:       v1alpha1.RouteSpec{Gateways: []string{"gateway"}, Path: "/" + name, Target: target},
	}
}

func tlsRoute(name, target, secret string) *v1alpha1.Route {
	r := route(name, target)
	r.Spec.TLS = &v1alpha1.RouteTLS{SecretName: secret}
	return r
}

func middleware(name, rule string) *v1alpha1.Middleware {
	return &v1alpha1.Middleware{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		Spec:       v1alpha1.MiddlewareSpec{Type: "addPrefix", Rule: &apiextensionsv1.JSON{Raw: []byte(rule)}},
	}
}

func monitoringGateway(names ...string) *v1alpha1.Gateway {
	g := &v1alpha1.Gateway{ObjectMeta: metav1.ObjectMeta{Name: "gateway", Namespace: "default"}}
	g.Spec.Server = &v1alpha1.Server{Monitoring: &v1alpha1.Monitoring{Middleware: &v1alpha1.MonitoringMiddleware{Metrics: names}}}
	return g
}
