// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package k8sprovider

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
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

func TestNothingIsWrittenBeforeEverythingIsListed(t *testing.T) { // K4
	t.Parallel()
	bubble(t, func(r *rig) {
		r.routes(change{whole: true, set: []metav1.Object{route("a", "http://a")}})
		r.middlewares(change{whole: true})
		time.Sleep(time.Hour)
		synctest.Wait()
		if r.view() != nil || r.engine.ready.Load() {
			t.Fatal("committed without the Gateway")
		}
		r.gateway(change{whole: true})
		r.wantRoutes(map[string]string{"a": "http://a"})
		if !r.engine.ready.Load() {
			t.Error("not ready after the first commit")
		}
	})
}

func TestRestartKeepsTheFilesUntilEverythingIsListed(t *testing.T) { // K4
	t.Parallel()
	out, certs := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, out, certs)
		r.list(route("a", "http://a"), route("b", "http://b"))
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, out, certs)
		time.Sleep(time.Hour) // the API server is away
		r.routes(change{whole: true, set: []metav1.Object{route("b", "http://b"), route("c", "http://c")}})
		r.wantRoutes(map[string]string{"a": "http://a", "b": "http://b"})
		before := r.view().Bundle.Routes[1]
		r.middlewares(change{whole: true})
		r.gateway(change{whole: true})
		r.wantRoutes(map[string]string{"b": "http://b", "c": "http://c"})
		if r.view().Bundle.Routes[0] != before {
			t.Error("an unchanged route was replaced")
		}
	})
}

func TestFirstEventIsWrittenAtOnceAndABurstTogether(t *testing.T) { // K1
	t.Parallel()
	bubble(t, func(r *rig) {
		r.list()
		time.Sleep(time.Minute)
		before := r.generation()
		r.routes(some(route("r0", "http://x")))
		if r.generation() != before+1 {
			t.Fatal("the first event waited")
		}
		for i := range 500 {
			r.routes(some(route(fmt.Sprint("r", i), "http://x")))
		}
		if r.generation() != before+1 {
			t.Fatal("the burst was not taken together")
		}
		time.Sleep(DefaultDebounce)
		if r.generation() != before+2 || len(r.view().Bundle.Routes) != 500 {
			t.Errorf("generation %d with %d routes, want all in one more commit", r.generation(), len(r.view().Bundle.Routes))
		}
	})
}

func TestSteadyEventsAreDelivered(t *testing.T) { // K1
	t.Parallel()
	bubble(t, func(r *rig) {
		r.list()
		const every = 10 * time.Millisecond
		last := 0
		for i := range int(time.Minute / every) {
			r.routes(some(route("busy", fmt.Sprint(i))))
			time.Sleep(every)
			synctest.Wait()
			if v := r.view(); v != nil && len(v.Bundle.Routes) == 1 {
				if _, err := fmt.Sscan(v.Bundle.Routes[0].Target, &last); err != nil {
					t.Fatal(err)
				}
			}
			if behind := time.Duration(i-last) * every; behind > DefaultDebounce {
				t.Fatalf("after %d events the newest that was delivered is %d", i, last)
			}
		}
		if g := r.generation(); g > uint64(time.Minute/DefaultDebounce)+5 {
			t.Errorf("%d commits in a minute", g)
		}
	})
}

func TestWhatChangesNothingWritesNothing(t *testing.T) { // K2
	t.Parallel()
	bubble(t, func(r *rig) {
		r.list(route("a", "http://a"))
		time.Sleep(time.Minute)
		before, told := r.generation(), r.told
		touched := route("a", "http://a")
		touched.Status.Ready, touched.ResourceVersion, touched.Annotations = true, "9", map[string]string{"x": "y"}
		r.routes(some(touched))
		bystander := route("b", "http://b")
		bystander.Spec.Gateways = []string{"other"}
		r.routes(some(bystander))
		r.routes(change{gone: []string{"b", "never"}})
		r.middlewares(some(middleware("unused", `{}`)))
		r.routes(change{whole: true, set: []metav1.Object{touched, bystander}})
		r.gateway(some(monitoringGateway()))
		time.Sleep(time.Minute)
		if r.generation() != before {
			t.Errorf("generation %d, want it to stay %d", r.generation(), before)
		}
		if r.told > told+1 { // once for the unused Middleware
			t.Errorf("the problems were told %d times", r.told-told)
		}
	})
}

func TestMiddlewaresOfRoutesAndOfMonitoringAreDelivered(t *testing.T) { // T2
	t.Parallel()
	bubble(t, func(r *rig) {
		a := route("a", "http://a")
		a.Spec.Middlewares = []string{"m"}
		r.routes(change{whole: true, set: []metav1.Object{a}})
		r.middlewares(change{whole: true, set: []metav1.Object{middleware("m", `{}`), middleware("guard", `{}`), middleware("x", `{}`)}})
		r.gateway(change{whole: true, set: []metav1.Object{monitoringGateway("guard", "missing")}})
		names := func() (list []string) {
			for _, m := range r.view().Bundle.Middlewares {
				list = append(list, m.Name)
			}
			return list
		}
		if got := names(); !slices.Equal(got, []string{"guard", "m"}) {
			t.Fatalf("got %v", got)
		}
		r.wantProblem("gateway", config.ReasonMiddlewareNotFound, config.SeverityError)
		time.Sleep(time.Second)
		r.gateway(some(monitoringGateway("x")))
		r.middlewares(change{gone: []string{"m"}})
		time.Sleep(time.Second)
		synctest.Wait()
		if got := names(); !slices.Equal(got, []string{"x"}) {
			t.Errorf("got %v", got)
		}
		r.wantProblem("a", config.ReasonMiddlewareNotFound, config.SeverityError)
		r.gateway(change{gone: []string{"gateway"}})
		time.Sleep(time.Second)
		synctest.Wait()
		if got := names(); len(got) != 0 {
			t.Errorf("got %v", got)
		}
	})
}

func TestFailedCommitIsTriedAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.list(route("a", "http://1"))
		r.wantRoutes(map[string]string{"a": "http://1"})
		time.Sleep(time.Second)
		objects, aside := filepath.Join(r.out, "objects"), filepath.Join(r.out, "aside")
		if err := os.Rename(objects, aside); err != nil {
			t.Fatal(err)
		}
		r.routes(some(route("a", "http://2")))
		time.Sleep(10 * commitRetry)
		r.wantRoutes(map[string]string{"a": "http://1"})
		if err := os.Rename(aside, objects); err != nil {
			t.Fatal(err)
		}
		time.Sleep(commitRetry)
		synctest.Wait()
		r.wantRoutes(map[string]string{"a": "http://2"})
		if !strings.Contains(r.log.String(), "bundle not written") {
			t.Error("the failure was not logged")
		}
	})
}

func TestRouteWaitsForTheSecretThatItHasBegunToName(t *testing.T) { // K3
	t.Parallel()
	bubble(t, func(r *rig) {
		withM := route("a", "http://old")
		withM.Spec.Middlewares = []string{"m"}
		r.routes(change{whole: true, set: []metav1.Object{withM, route("b", "http://b")}})
		r.middlewares(change{whole: true, set: []metav1.Object{middleware("m", `{}`)}})
		r.gateway(change{whole: true})
		time.Sleep(time.Second)

		r.routes(some(tlsRoute("a", "http://new", "s"), route("b", "http://b2")))
		r.wantRoutes(map[string]string{"a": "http://old", "b": "http://b2"})
		if len(r.view().Bundle.Middlewares) != 1 {
			t.Error("the Middleware that the old route names is gone")
		}
		time.Sleep(time.Second)
		r.secret("s", goodPair(t))
		r.wantRoutes(map[string]string{"a": "http://new", "b": "http://b2"})
		time.Sleep(time.Second)
		synctest.Wait()
		if len(r.view().Bundle.Middlewares) != 0 {
			t.Error("the Middleware that nobody names is still there")
		}
		if _, err := os.Stat(filepath.Join(r.certs, "s", "tls.key")); err != nil {
			t.Error(err)
		}
	})
}

func TestPatienceWithASecretEnds(t *testing.T) { // K3, K4, O10
	t.Parallel()
	bubble(t, func(r *rig) {
		r.list(tlsRoute("a", "http://a", "s"), route("b", "http://b"))
		s := r.engine.secrets.byName["s"]
		r.do(func() { r.engine.denySecret(s, errors.New("forbidden")) })
		if r.view() != nil {
			t.Fatal("the first commit did not wait for the Secret")
		}
		time.Sleep(secretPatience)
		synctest.Wait()
		r.wantRoutes(map[string]string{"a": "http://a", "b": "http://b"})
		r.wantProblem("a", config.ReasonSecretNotFound, config.SeverityError)

		generation := r.generation()
		r.secret("s", goodPair(t))
		if r.rest(); len(r.problems) != 0 {
			t.Errorf("still %v", r.problems)
		}
		if _, err := os.Stat(filepath.Join(r.certs, "s", "tls.crt")); err != nil {
			t.Error(err)
		}
		if r.generation() != generation {
			t.Error("a Secret alone must not change the bundle")
		}
	})
}

func TestSecretsHurtOnlyTheRoutesThatNameThem(t *testing.T) { // K3, K4
	t.Parallel()
	bubble(t, func(r *rig) {
		half := goodPair(t)
		delete(half, "tls.key")
		ca := route("ca", "https://ca")
		ca.Spec.Security = &v1alpha1.RouteSecurity{TLS: &v1alpha1.BackendTLS{RootCAsSecret: "half"}}
		half["ca.crt"] = half["tls.crt"]
		r.list(tlsRoute("missing", "http://x", "gone"), tlsRoute("half", "http://x", "half"), ca, route("fine", "http://x"))
		r.secret("gone", nil)
		r.secret("half", half)
		r.wantRoutes(map[string]string{"missing": "http://x", "half": "http://x", "ca": "https://ca", "fine": "http://x"})
		r.wantProblem("missing", config.ReasonSecretNotFound, config.SeverityError)
		r.wantProblem("half", config.ReasonSecretInvalid, config.SeverityError)
		if len(r.problems) != 2 {
			t.Errorf("problems %v, want two", r.problems)
		}
		if got := files(t, filepath.Join(r.certs, "half")); !slices.Equal(got, []string{"ca.crt"}) {
			t.Errorf("files %v, want the authority alone", got)
		}
	})
}

func TestRotationIsLiveAndKeepsTheLastGoodPair(t *testing.T) { // K3, A5
	t.Parallel()
	bubble(t, func(r *rig) {
		r.list(tlsRoute("a", "http://a", "s"))
		first, second := goodPair(t), goodPair(t)
		onDisk := func(want map[string][]byte) {
			t.Helper()
			for _, key := range []string{"tls.crt", "tls.key"} {
				got, err := os.ReadFile(filepath.Join(r.certs, "s", key))
				if err != nil || string(got) != string(want[key]) {
					t.Fatalf("%s is not the one wanted (%v)", key, err)
				}
			}
		}
		r.secret("s", first)
		onDisk(first)
		r.secret("s", second)
		onDisk(second)
		r.secret("s", map[string][]byte{"tls.crt": first["tls.crt"], "tls.key": second["tls.key"]})
		onDisk(second)
		r.wantProblem("a", config.ReasonSecretInvalid, config.SeverityWarning)
		r.secret("s", first)
		onDisk(first)
		if r.rest(); len(r.problems) != 0 {
			t.Errorf("still %v", r.problems)
		}
		r.secret("s", nil)
		if got := files(t, r.certs); len(got) != 0 {
			t.Errorf("%v is left of a Secret that is gone", got)
		}
		r.wantProblem("a", config.ReasonSecretNotFound, config.SeverityError)
		r.secret("s", second)
		onDisk(second)
		for _, data := range []map[string][]byte{first, second} {
			if strings.Contains(r.log.String(), string(data["tls.key"][40:80])) { // C8
				t.Error("the log shows a private key")
			}
		}
	})
}

func TestFilesOfASecretGoWhenTheGatewayHasMovedOn(t *testing.T) { // K3
	t.Parallel()
	bubble(t, func(r *rig) {
		r.list(tlsRoute("a", "http://a", "s"), tlsRoute("b", "http://b", "t"))
		r.secret("s", goodPair(t))
		r.secret("t", goodPair(t))
		there := func(name string) bool {
			_, err := os.Stat(filepath.Join(r.certs, name))
			return err == nil
		}
		time.Sleep(time.Second)
		r.routes(some(route("a", "http://a")))
		time.Sleep(time.Second)
		synctest.Wait()
		if !there("s") {
			t.Fatal("the files went while the gateway may be using them")
		}
		r.do(func() { r.engine.takeApplied(r.engine.writer.Generation() - 1) })
		if !there("s") {
			t.Fatal("the files went while the gateway is at the generation before")
		}
		r.do(func() { r.engine.takeApplied(r.engine.writer.Generation()) })
		if there("s") || !there("t") {
			t.Fatal("want the files of s gone and those of t there")
		}
		// A gateway that says nothing does not keep files for ever.
		r.routes(change{gone: []string{"b"}})
		time.Sleep(certGrace + DefaultDebounce)
		synctest.Wait()
		if there("t") {
			t.Error("the files of t are still there")
		}
	})
}

func TestFilesOfSecretsFromBeforeARestartGoToo(t *testing.T) { // K3
	t.Parallel()
	out, certs := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, out, certs)
		r.list(tlsRoute("a", "http://a", "s"))
		r.secret("s", goodPair(t))
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, out, certs)
		r.list(route("a", "http://a"))
		if got := files(t, certs); !slices.Contains(got, "s") {
			t.Fatal("the files went before the gateway moved on")
		}
		time.Sleep(certGrace + DefaultDebounce)
		synctest.Wait()
		if got := files(t, certs); len(got) != 0 {
			t.Errorf("%v is left", got)
		}
	})
}

func TestNewsOfAStoppedWatchIsNoNews(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.list(tlsRoute("a", "http://a", "s"))
		stale := r.engine.secrets.byName["s"]
		r.secret("s", goodPair(t))
		time.Sleep(time.Second)
		r.routes(some(route("a", "http://a")))
		time.Sleep(time.Second)
		r.do(func() { r.engine.takeApplied(r.engine.writer.Generation()) })
		r.do(func() {
			r.engine.takeSecret(stale, some(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Data: goodPair(t)}))
		})
		r.do(func() { r.engine.denySecret(stale, errors.New("late")) })
		if got := files(t, r.certs); len(got) != 0 {
			t.Errorf("%v was written", got)
		}
	})
}
