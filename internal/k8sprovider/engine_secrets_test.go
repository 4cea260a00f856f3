// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package k8sprovider

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
)

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

// guarded is a Middleware whose password is in a Secret.
func guarded(name, secret, key string) *v1alpha1.Middleware {
	m := middleware(name, `{"users":[{"username":"ann","passwordFrom":{"secretKeyRef":{"name":"`+secret+`","key":"`+key+`"}}}]}`)
	m.Spec.Type = "basic"
	return m
}

func through(name, target string, middlewares ...string) *v1alpha1.Route {
	r := route(name, target)
	r.Spec.Middlewares = middlewares
	return r
}

// valueOf is a file of a Secret as a gateway would find it; empty when there is none.
func (r *rig) valueOf(secret, key string) string {
	r.t.Helper()
	data, err := os.ReadFile(filepath.Join(r.certs, secret, key))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		r.t.Fatal(err)
	}
	return string(data)
}

func TestTheValueOfAMiddlewareIsAFileForAsLongAsItIsInTheSecret(t *testing.T) { // K3, O7, C8
	t.Parallel()
	bubble(t, func(r *rig) {
		const canary = "canary-password"
		r.routes(change{whole: true, set: []metav1.Object{through("a", "http://a", "m"), route("b", "http://b")}})
		r.middlewares(change{whole: true, set: []metav1.Object{guarded("m", "s", "pw")}})
		r.gateway(change{whole: true})
		want := func(value string, reason config.Reason) {
			t.Helper()
			r.rest()
			if got := r.valueOf("s", "pw"); got != value {
				t.Errorf("the file holds %q, want %q", got, value)
			}
			if reason == "" && len(r.problems) != 0 {
				t.Errorf("problems %v", r.problems)
			}
			if reason != "" {
				r.wantProblem("m", reason, config.SeverityError)
			}
		}
		r.secret("s", nil)
		want("", config.ReasonSecretNotFound) // the Secret comes after those who name it
		r.secret("s", map[string][]byte{"pw": []byte(canary), "other": []byte("never written")})
		want(canary, "")
		if got := r.valueOf("s", "other"); got != "" {
			t.Error("a key that nobody names is written")
		}
		r.secret("s", map[string][]byte{"pw": []byte("next-" + canary)})
		want("next-"+canary, "")
		r.secret("s", map[string][]byte{"other": []byte("x")})
		want("", config.ReasonSecretInvalid) // taken away, so it is good no longer
		r.secret("s", map[string][]byte{"pw": []byte(canary)})
		want(canary, "")
		r.secret("s", nil)
		want("", config.ReasonSecretNotFound)
		r.wantRoutes(map[string]string{"a": "http://a", "b": "http://b"})
		if strings.Contains(r.log.String(), canary) {
			t.Error("the log tells the value")
		}
		for _, m := range r.view().Bundle.Middlewares {
			if strings.Contains(string(m.Rule), canary) || !strings.Contains(string(m.Rule), "secretKeyRef") {
				t.Errorf("the rule is %s", m.Rule)
			}
		}
	})
}

func TestAMiddlewareWaitsForTheSecretThatItHasBegunToName(t *testing.T) { // K3
	t.Parallel()
	bubble(t, func(r *rig) {
		old := middleware("m", `{"users":["ann:x"]}`)
		old.Spec.Type = "basic"
		r.routes(change{whole: true, set: []metav1.Object{through("a", "http://a", "m")}})
		r.middlewares(change{whole: true, set: []metav1.Object{old}})
		r.gateway(change{whole: true})
		time.Sleep(time.Second)
		named := func() bool { return strings.Contains(string(r.view().Bundle.Middlewares[0].Rule), "secretKeyRef") }

		r.middlewares(some(guarded("m", "s", "pw")))
		r.routes(some(through("b", "http://b", "m")))
		if named() {
			t.Error("the Middleware is delivered before anybody knows of its Secret")
		}
		r.wantRoutes(map[string]string{"a": "http://a"})
		time.Sleep(time.Second)
		r.secret("s", map[string][]byte{"pw": []byte("x")})
		if r.rest(); !named() {
			t.Error("the Middleware is not delivered")
		}
		r.wantRoutes(map[string]string{"a": "http://a", "b": "http://b"})
		// Another key of a Secret that is known needs no news of it.
		r.secret("s", map[string][]byte{"pw": []byte("x"), "next": []byte("y")})
		r.middlewares(some(guarded("m", "s", "next")))
		if r.rest(); r.valueOf("s", "next") != "y" || r.valueOf("s", "pw") != "" || len(r.problems) != 0 {
			t.Errorf("files %v, problems %v", files(t, filepath.Join(r.certs, "s")), r.problems)
		}
	})
}
