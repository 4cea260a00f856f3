// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package stripprefix

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
)

func TestAPrefixIsTakenOffByWholeSegments(t *testing.T) { // R1, P3
	t.Parallel()
	for _, c := range []struct{ name, prefixes, target, path, query string }{
		{"a prefix", `"/api"`, "/api/users", "/users", ""},
		{"the whole path", `"/api"`, "/api", "/", ""},
		{"the whole path with a slash", `"/api"`, "/api/", "/", ""},
		{"a slash at the end stays", `"/api"`, "/api/users/", "/users/", ""},
		{"a prefix with slashes around", `"api/"`, "/api/users", "/users", ""},
		{"two segments", `"/api/v1"`, "/api/v1/users", "/users", ""},
		{"another path", `"/api"`, "/other", "/other", ""},
		{"a longer word", `"/api"`, "/apiary/bees", "/apiary/bees", ""},
		{"another case", `"/api"`, "/API/users", "/API/users", ""},
		{"in the middle", `"/api"`, "/x/api/users", "/x/api/users", ""},
		{"once", `"/api"`, "/api/api/users", "/api/users", ""},
		{"the longest", `"/api","/api/v1","/api/v10"`, "/api/v1/users", "/users", ""},
		{"the longest by segments", `"/api","/api/v1"`, "/api/v10/users", "/v10/users", ""},
		{"an encoded slash is no boundary", `"/api"`, "/api%2Fusers", "/api%2Fusers", ""},
		{"an encoded slash stays", `"/api"`, "/api/a%2Fb", "/a%2Fb", ""},
		{"an encoded prefix", `"/caf%C3%A9"`, "/caf%C3%A9/x", "/x", ""},
		{"the query stays byte for byte", `"/api"`, "/api/a?b=%2f&&c", "/a", "b=%2f&&c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			parsed, problems := parse(json.RawMessage(`{"prefixes":[` + c.prefixes + `]}`))
			if parsed == nil {
				t.Fatal(problems)
			}
			reached := false
			h, err := parsed.Handler(definition.Build{}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				reached = true
				if got := r.URL.EscapedPath(); got != c.path || exchange.Of(r).Path != c.path || r.URL.RawQuery != c.query {
					t.Errorf("got %q, %q and query %q, want %q", got, exchange.Of(r).Path, r.URL.RawQuery, c.path)
				}
			}))
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, c.target, nil)
			x := &exchange.Exchange{Path: r.URL.EscapedPath()}
			asked := x.Path
			h.ServeHTTP(httptest.NewRecorder(), r.WithContext(exchange.With(r.Context(), x)))
			if !reached || x.Path != asked || r.URL.EscapedPath() != asked { // B4
				t.Errorf("reached %v; the log tells of %q", reached, x.Path)
			}
		})
	}
}

func TestAPrefixThatIsNoPathIsRefused(t *testing.T) { // C6, P3
	t.Parallel()
	for rule, field := range map[string]string{
		``: "rule.prefixes", `{}`: "rule.prefixes", `{"prefixes":[]}`: "rule.prefixes", `{"prefixes":"/a"}`: "rule.prefixes",
		`{"prefixes":["/a",""]}`: "rule.prefixes[1]", `{"prefixes":["/"]}`: "rule.prefixes[0]", `{"prefixes":["/a/../b"]}`: "rule.prefixes[0]",
		`{"prefixes":["/a//b"]}`: "rule.prefixes[0]", `{"prefixes":["/a?b"]}`: "rule.prefixes[0]", `{"prefixes":["/a#b"]}`: "rule.prefixes[0]",
		`{"prefixes":["/%61"]}`: "rule.prefixes[0]", `{"prefixes":["/a\nb"]}`: "rule.prefixes[0]", `{"prefixes":["/é"]}`: "rule.prefixes[0]",
	} {
		if parsed, problems := parse(json.RawMessage(rule)); parsed != nil || len(problems) != 1 || problems[0].Field != field {
			t.Errorf("%s: rule %v, %v", rule, parsed, problems)
		}
	}
}

func FuzzWhatIsSentIsNormal(f *testing.F) { // P3, C10
	f.Add("/api", "/api/a%2F..;x/b")
	f.Add("a/b", "/a/b//")
	f.Fuzz(func(t *testing.T, prefix, path string) {
		raw, _ := json.Marshal(Settings{Prefixes: []string{prefix}}) // a text always encodes
		parsed, problems := parse(raw)
		if (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
		path, err := normal.Path(path)
		if err != nil || parsed == nil {
			return
		}
		rest, _ := parsed.(rule).strip(path)
		if again, err := normal.Path(rest); err != nil || again != rest {
			t.Fatalf("%q becomes %q, which is not normal: %q, %v", path, rest, again, err)
		}
	})
}
