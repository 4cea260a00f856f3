// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

const passwordInSecret = `{"users":[{"username":"ann","passwordFrom":{"secretKeyRef":{"name":"people","key":"ann"}}}]}`

// fromSource is a middleware that a source has delivered.
func fromSource(source, rule string) *config.Middleware {
	m := newMiddleware("m", "basic", rule)
	m.Meta.Ref = config.ObjectRef{Kind: "Middleware", Namespace: "default", Name: "m", Source: source}
	return m
}

func guardedBy(m *config.Middleware) *config.Config {
	c := cfg(newRoute("a", "/a", "m"), newRoute("b", "/b"))
	c.Middlewares = []*config.Middleware{m}
	return c
}

func as(password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth("ann", password) }
}

// newSecretBench is a bench whose Secrets are in a directory.
func newSecretBench(t *testing.T) (*bench, string) {
	t.Helper()
	b, dir := newBench(t), t.TempDir()
	b.compiler.o.SecretsDir = dir
	return b, dir
}

func writeSecret(t *testing.T, dir, name, key, value string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name, key), []byte(value), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestARouteFollowsTheSecretOfItsMiddleware(t *testing.T) { // K3, M2, O7
	t.Parallel()
	b, dir := newSecretBench(t)
	path := filepath.Join(dir, "people", "ann")
	c := guardedBy(fromSource("kubernetes", passwordInSecret))
	if s := b.apply(c); !slices.Contains(s.Files(), path) {
		t.Fatalf("files %v", s.Files())
	}
	closed := func(reason config.Reason) {
		t.Helper()
		b.apply(c)
		b.expect("GET", "http://h/a", 503, "m", as("first"))
		b.expect("GET", "http://h/b", 200, "b")
		want := "Middleware default/m rule.users[0].passwordFrom " + string(reason)
		if !slices.Contains(b.reasons(), want) {
			t.Errorf("want %s, got %v", want, b.reasons())
		}
	}
	open := func(good, bad string) {
		t.Helper()
		b.apply(c)
		b.expect("GET", "http://h/a", 200, "a", as(good))
		b.expect("GET", "http://h/a", 401, "", as(bad))
		if len(b.problems) != 0 {
			t.Errorf("problems %v", b.problems)
		}
	}
	closed(config.ReasonSecretNotFound)
	writeSecret(t, dir, "people", "ann", "first\n")
	open("first", "first\n")
	if b.apply(c).Changed() {
		t.Error("nothing has changed, and something is compiled")
	}
	writeSecret(t, dir, "people", "ann", "second-one")
	open("second-one", "first")
	for _, unusable := range []string{"", "\n", "\xff\xfe", "a\x00b", "x${NAME}"} {
		writeSecret(t, dir, "people", "ann", unusable)
		closed(config.ReasonSecretInvalid)
	}
	writeSecret(t, dir, "people", "ann", "third")
	open("third", "second-one")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	closed(config.ReasonSecretNotFound)
	for _, p := range b.problems { // C8
		if strings.Contains(p.Message, "third") {
			t.Errorf("the value is told: %s", p)
		}
	}
}

func TestWhatASecretMakesOfARuleIsAProblemOfTheMiddleware(t *testing.T) { // M2, C8
	t.Parallel()
	b, dir := newSecretBench(t)
	writeSecret(t, dir, "people", "ann", "$6$canary$hash")
	b.apply(guardedBy(fromSource("kubernetes", passwordInSecret)))
	b.expect("GET", "http://h/a", 503, "m", as("$6$canary$hash"))
	if !slices.Contains(b.reasons(), "Middleware default/m rule.users[0].password Invalid") {
		t.Errorf("got %v", b.reasons())
	}
	for _, p := range b.problems {
		if strings.Contains(p.Message, "canary") {
			t.Errorf("the value is told: %s", p)
		}
	}
}

func TestNobodyElseNamesSecrets(t *testing.T) { // T7, T8
	t.Parallel()
	for name, c := range map[string]struct {
		source string
		dir    bool
		open   bool
	}{
		"a Middleware of Kubernetes":                    {"kubernetes", true, true},
		"one that the operator hands over in a file":    {"file", true, true},
		"a Middleware of Kubernetes, without a sidecar": {"kubernetes", false, false},
		"a file of a gateway that is not in Kubernetes": {"file", false, false},
		"the main file":        {"static", true, false},
		"another server":       {"http", true, false},
		"a repository":         {"git", true, false},
		"nobody in particular": {"", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, dir := newSecretBench(t)
			if !c.dir {
				b.compiler.o.SecretsDir = ""
			}
			writeSecret(t, dir, "people", "ann", "first")
			b.apply(guardedBy(fromSource(c.source, passwordInSecret)))
			if c.open {
				b.expect("GET", "http://h/a", 200, "a", as("first"))
				return
			}
			b.expect("GET", "http://h/a", 503, "m", as("first"))
			if !slices.ContainsFunc(b.problems, func(p config.Problem) bool {
				return p.Object.Kind == "Middleware" && strings.Contains(p.Message, "write ${NAME}") && p.Reason == config.ReasonInvalid
			}) {
				t.Errorf("got %v", b.problems)
			}
		})
	}
}

func TestARuleReadsNothingButSecrets(t *testing.T) { // T8
	t.Parallel()
	b, dir := newSecretBench(t)
	outside := t.TempDir()
	writeSecret(t, outside, "people", "ann", "outside")
	if err := os.Symlink(filepath.Join(outside, "people"), filepath.Join(dir, "linked")); err != nil {
		t.Fatal(err)
	}
	writeSecret(t, dir, "..version", "ann", "inside")
	if err := os.Symlink("..version", filepath.Join(dir, "people")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, key, password string }{
		{"people", "ann", "inside"}, // as the sidecar and the kubelet write them
		{"linked", "ann", ""},
		{"..version", "ann", ""},
		{"../" + filepath.Base(outside) + "/people", "ann", ""},
		{"people", "../people/ann", ""},
		{"people", "..", ""},
		{".", "people", ""},
		{filepath.Join(outside, "people"), "ann", ""},
	} {
		rule := strings.NewReplacer(`"people"`, `"`+c.name+`"`, `"key":"ann"`, `"key":"`+c.key+`"`).Replace(passwordInSecret)
		b.apply(guardedBy(fromSource("kubernetes", rule)))
		if c.password != "" {
			b.expect("GET", "http://h/a", 200, "a", as(c.password))
			continue
		}
		for _, password := range []string{"outside", "inside"} {
			b.expect("GET", "http://h/a", 503, "m", as(password))
		}
	}
}

func TestACheckLeavesSecretsOpenThatAreNotThere(t *testing.T) { // C5
	t.Parallel()
	for _, dir := range []string{"", t.TempDir()} {
		_, problems := NewCompiler(Options{Pool: pool.New(), SecretsDir: dir}).Compile(nil, guardedBy(fromSource("kubernetes", passwordInSecret)))
		if len(problems) != 0 {
			t.Errorf("with %q: %v", dir, problems)
		}
	}
	dir := t.TempDir()
	writeSecret(t, dir, "people", "ann", "{CRYPT}x")
	_, problems := NewCompiler(Options{Pool: pool.New(), SecretsDir: dir}).Compile(nil, guardedBy(fromSource("kubernetes", passwordInSecret)))
	if !config.HasErrors(problems) || problems[0].Field != "rule.users[0].password" {
		t.Errorf("a hash that no gateway knows: %v", problems)
	}
	_, problems = NewCompiler(Options{Pool: pool.New()}).Compile(nil, guardedBy(fromSource("file", passwordInSecret)))
	if !config.HasErrors(problems) {
		t.Error("a file that names a Secret passes")
	}
}
