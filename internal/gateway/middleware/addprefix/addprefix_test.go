// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package addprefix

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

// through sends a request through a rule to a backend.
func through(t *testing.T, prefix, target string, backend http.HandlerFunc) (r *http.Request, x *exchange.Exchange) {
	t.Helper()
	parsed, problems := parse(json.RawMessage(`{"prefix":"` + prefix + `"}`))
	if parsed == nil {
		t.Fatal(problems)
	}
	h, err := parsed.Handler(definition.Build{Name: "prefix"}, backend)
	if err != nil {
		t.Fatal(err)
	}
	r = httptest.NewRequest(http.MethodGet, target, nil)
	x = &exchange.Exchange{Path: r.URL.EscapedPath()}
	r = r.WithContext(exchange.With(r.Context(), x))
	h.ServeHTTP(httptest.NewRecorder(), r)
	return r, x
}

func TestPrefixAndPathAreJoinedWithOneSlash(t *testing.T) { // M31
	t.Parallel()
	for _, c := range []struct{ name, prefix, target, path, query string }{
		{"a plain prefix", "/prefix", "/api", "/prefix/api", ""},
		{"a prefix with slashes around", "prefix/", "/api", "/prefix/api", ""},
		{"a prefix of two segments", "/a/b", "/api/x", "/a/b/api/x", ""},
		{"the root", "/prefix", "/", "/prefix/", ""},
		{"a slash at the end stays", "/prefix", "/api/", "/prefix/api/", ""},
		{"an encoded slash stays encoded", "/prefix", "/a%2Fb", "/prefix/a%2Fb", ""},
		{"an encoded space stays encoded", "/p%20q", "/a%20b", "/p%20q/a%20b", ""},
		{"the query stays byte for byte", "/prefix", "/api?b=%2f&a=1&&", "/prefix/api", "b=%2f&a=1&&"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			reached := false
			through(t, c.prefix, c.target, func(_ http.ResponseWriter, r *http.Request) {
				reached = true
				if got := r.URL.EscapedPath(); got != c.path || exchange.Of(r).Path != c.path || r.URL.RawQuery != c.query {
					t.Errorf("got %q, %q and query %q, want %q and %q", got, exchange.Of(r).Path, r.URL.RawQuery, c.path, c.query)
				}
			})
			if !reached {
				t.Error("the request did not arrive")
			}
		})
	}
}

func TestTheLogTellsWhatTheClientAskedFor(t *testing.T) { // B4
	t.Parallel()
	r, x := through(t, "/v2", "/users", func(http.ResponseWriter, *http.Request) {})
	if x.Path != "/users" || r.URL.Path != "/users" {
		t.Errorf("path %q, URL %q", x.Path, r.URL.Path)
	}
	defer func() {
		if recover() == nil {
			t.Error("the abort of the backend is swallowed")
		}
	}()
	through(t, "/v2", "/users", func(_ http.ResponseWriter, r *http.Request) {
		x := exchange.Of(r)
		t.Cleanup(func() {
			if x.Path != "/users" {
				t.Errorf("after an abort the path is %q", x.Path)
			}
		})
		panic(http.ErrAbortHandler)
	})
}

func TestAPrefixThatIsNoPathIsRefused(t *testing.T) { // C6, P3
	t.Parallel()
	for _, rule := range []string{
		``, `{}`, `{"prefix":""}`, `{"prefix":"///"}`, `{"prefix":5}`, `{"prefix":"/a/../b"}`, `{"prefix":"/a//b"}`, `{"prefix":"/a?b"}`,
		`{"prefix":"/a#b"}`, `{"prefix":"/%2e%2e/a"}`, `{"prefix":"/a%"}`, `{"prefix":"/a\nb"}`, `{"prefix":"/..%2fa"}`,
	} {
		if parsed, problems := parse(json.RawMessage(rule)); parsed != nil || len(problems) != 1 || problems[0].Field != "rule.prefix" {
			t.Errorf("%s: rule %v, %v", rule, parsed, problems)
		}
	}
}

func FuzzParse(f *testing.F) { // C10
	f.Add(`{"prefix":"/v2"}`)
	f.Fuzz(func(t *testing.T, rule string) {
		if parsed, problems := parse(json.RawMessage(rule)); (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
	})
}
