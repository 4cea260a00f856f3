// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package rewriteregex

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
)

func ruleOf(pattern, replacement string) json.RawMessage {
	raw, _ := json.Marshal(map[string]string{"pattern": pattern, "replacement": replacement}) // two texts always encode
	return raw
}

// sent is what the backend got; refused has no path.
type sent struct {
	status      int
	path, query string
}

// through sends a request through a rule to a backend.
func through(t testing.TB, pattern, replacement string, r *http.Request) sent {
	t.Helper()
	parsed, problems := parse(ruleOf(pattern, replacement))
	if parsed == nil {
		t.Fatal(problems)
	}
	var got sent
	h, err := parsed.Handler(definition.Build{}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = sent{path: r.URL.EscapedPath(), query: r.URL.RawQuery}
		if x := exchange.Of(r); x.Path != got.path {
			t.Errorf("the next middleware sees %q, the backend %q", x.Path, got.path) // P2
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	asked, err := normal.Path(r.URL.EscapedPath())
	if err != nil {
		t.Fatal(err)
	}
	r.URL.RawPath, r.URL.Path = asked, normal.Decode(asked)
	x := &exchange.Exchange{Path: asked, Host: "a.test"}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
	if x.Path != asked || r.URL.EscapedPath() != asked {
		t.Errorf("the log tells of %q, the client asked for %q", x.Path, asked) // B4
	}
	got.status = w.Code
	return got
}

func get(target string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func TestAPathIsRewritten(t *testing.T) { // P3, M31
	t.Parallel()
	for _, c := range []struct {
		name, pattern, replacement string
		r                          *http.Request
		want                       string
	}{
		{"by a group", "^/api/v1/(.*)$", "/v2/$1", get("/api/v1/users"), "/v2/users"},
		{"by a named group", "^/u/(?P<id>[0-9]+)$", "/users/${id}/home", get("/u/42"), "/users/42/home"},
		{"not without a match", "^/api", "/v2", get("/other"), "/other"},
		{"at each match", "a", "b", get("/a/a.a"), "/b/b.b"},
		{"to the root", "^/.*$", "", get("/a/b"), "/"},
		{"with one slash for two", "^/api(.*)$", "/v2/$1", get("/api/users"), "/v2/users"},
		{"with a slash that the replacement lacks", "^/api/", "v2/", get("/api/users"), "/v2/users"},
		{"never to another host", "^/go/", "//evil.test/", get("/go/x"), "/evil.test/x"},
		{"with an encoded slash kept", "^/api/(.*)$", "/$1", get("/api/a%2Fb"), "/a%2Fb"},
		{"with what has to be encoded encoded", "^/a$", "/é|", get("/a"), "/%C3%A9%7C"},
		{"with the query kept byte for byte", "^/a$", "/b", get("/a?x=%2f&&y"), "/b"},
		{"by a header", "^/(.*)$", "/{{goma.headers.X-Tenant}}/$1", get("/a", "X-Tenant", "t1"), "/t1/a"},
		{"by a header named in another case", "^/(.*)$", "/{{ goma.headers.x-tenant }}/$1", get("/a", "X-Tenant", "t1"), "/t1/a"},
		{"by a header that is missing", "^/(.*)$", "/x{{goma.headers.X-Tenant}}/$1", get("/a"), "/x/a"},
		{"by the host", "^/(.*)$", "/{{goma.headers.Host}}/$1", get("/a"), "/a.test/a"},
		{"by a parameter", "^/(.*)$", "/{{goma.query.lang}}/$1", get("/a?x=1&la%6eg=d%65&lang=fr"), "/de/a"},
		{"by a malformed parameter", "^/(.*)$", "/x{{goma.query.lang}}/$1", get("/a?lang=%zz"), "/x/a"},
		{"with a value as one segment", "^/(.*)$", "/{{goma.headers.X-Tenant}}/$1", get("/a", "X-Tenant", "a/b?c#d"), "/a%2Fb%3Fc%23d/a"},
		{"with a value that is no token", "^/(.*)$", "/{{goma.headers.X-A}}/$1", get("/a", "X-A", "{{goma.headers.X-B}}$1", "X-B", "b"), "/%7B%7Bgoma.headers.X-B%7D%7D$1/a"},
		{"with a path that is no token", "^/(.*)$", "/n/$1", get("/%7B%7Bgoma.headers.X-B%7D%7D", "X-B", "b"), "/n/%7B%7Bgoma.headers.X-B%7D%7D"},
		{"with a value decoded once", "^/(.*)$", "/{{goma.query.f}}", get("/a?f=%252e%252e"), "/%252e%252e"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			query := c.r.URL.RawQuery
			if got := through(t, c.pattern, c.replacement, c.r); got.path != c.want || got.query != query {
				t.Errorf("got %+v, want %q", got, c.want)
			}
		})
	}
}

func TestNobodyClimbsOutOfTheReplacement(t *testing.T) { // P3, P1, M4
	t.Parallel()
	for _, value := range []string{"..", ".", "../../admin", `..\admin`, "%2e%2e", "..;x", "a/../b", "a\x00b", "\xff"} {
		r := get("/a", "X-Tenant", value)
		got := through(t, "^/(.*)$", "/tenants/{{goma.headers.X-Tenant}}/$1", r)
		if got.path == "" && got.status == http.StatusBadRequest {
			continue
		}
		if segments := strings.Split(got.path, "/"); len(segments) != 4 || segments[1] != "tenants" || strings.Contains(normal.Decode(normal.Decode(segments[2])), "../") {
			t.Errorf("%q leads to %+v", value, got)
		}
	}
	for _, c := range []struct{ pattern, replacement, path string }{
		{"^/(.)x(.)/(.*)$", "/files/$1$2/$3", "/.x./secret"},
		{"x", "", "/a/.x./secret"},
		{"^/x/", "/../", "/x/a"},
		{"^/x/", "/%2e%2e/", "/x/a"},
		{"^/x/", "/a/..%2f", "/x/a"},
		{"^/x/", "/a%", "/x/zz"},
		{"a", "aaaaaaaaaaaaaaaa", "/" + strings.Repeat("a", 2000)},
	} {
		if got := through(t, c.pattern, c.replacement, get(c.path)); got.status != http.StatusBadRequest || got.path != "" {
			t.Errorf("%+v leads to %+v", c, got)
		}
	}
}

func TestARuleIsReadInFull(t *testing.T) { // C5, C6, C10
	t.Parallel()
	long := strings.Repeat("a", maxPatternBytes+1)
	for rule, field := range map[string]string{
		``:                            "rule.pattern",
		`{}`:                          "rule.pattern",
		`{"pattern":5}`:               "rule.pattern",
		`{"pattern":"("}`:             "rule.pattern",
		`{"pattern":"(?!a)"}`:         "rule.pattern",
		`{"pattern":"` + long + `"}`:  "rule.pattern",
		`{"pattern":"a{1000}{1000}"}`: "rule.pattern",
		`{"pattern":"a","replacement":"` + long + `"}`:          "rule.replacement",
		`{"pattern":"a","replacement":"/b?c"}`:                  "rule.replacement",
		`{"pattern":"a","replacement":"/b#c"}`:                  "rule.replacement",
		`{"pattern":"a","replacement":"/{{goma.headers.X}}?c"}`: "rule.replacement",
		`{"pattern":"a","replacement":"/{{goma.headers.X"}`:     "rule.replacement",
		`{"pattern":"a","replacement":"/{{goma.headers.}}"}`:    "rule.replacement",
		`{"pattern":"a","replacement":"/{{goma.headers.A B}}"}`: "rule.replacement",
		`{"pattern":"a","replacement":"/{{goma.query.}}"}`:      "rule.replacement",
		`{"pattern":"a","replacement":"/{{goma.cookies.a}}"}`:   "rule.replacement",
		`{"pattern":"a","replacement":"/b c"}`:                  "rule.replacement",
		`{"pattern":"a","replacement":"/b\\c"}`:                 "rule.replacement",
		`{"pattern":"a","replacement":"/b\nc"}`:                 "rule.replacement",
		`{"pattern":"a","replacement":"/{{}}"}`:                 "rule.replacement",
	} {
		parsed, problems := parse(json.RawMessage(rule))
		if parsed != nil || len(problems) != 1 || problems[0].Field != field {
			t.Errorf("%.80s: rule %v, %v", rule, parsed, problems)
		}
	}
}

func TestAGroupThatIsMissingIsAWarning(t *testing.T) { // C6
	t.Parallel()
	for rule, warns := range map[string]bool{
		string(ruleOf("^/(a)$", "/$1")):                false,
		string(ruleOf("^/(a)$", "/${1}x/$0")):          false,
		string(ruleOf("^/(a)$", "/$$2")):               false,
		string(ruleOf("^/(?P<n>a)$", "/$n/${n}x")):     false,
		string(ruleOf("^/(a)$", "/$1x")):               true,
		string(ruleOf("^/(a)$", "/$2")):                true,
		string(ruleOf("^/(a)$", "/${two}")):            true,
		string(ruleOf("^/(a)$", "/{{goma.query.$2}}")): false,
	} {
		parsed, problems := parse(json.RawMessage(rule))
		if parsed == nil || (len(problems) == 1) != warns || config.HasErrors(problems) {
			t.Errorf("%s: %v", rule, problems)
		}
	}
}

func FuzzWhatIsSentIsNormal(f *testing.F) { // P3, C10
	f.Add("^/(.*)$", "/x/{{goma.headers.X-A}}/$1", "/a/b", "../../admin")
	f.Add("x", "", "/.x./a", "")
	f.Add("(.)", "$1$1", "/a", "")
	f.Fuzz(func(t *testing.T, pattern, replacement, path, value string) {
		asked, err := normal.Path(path)
		if err != nil || len(path) > 100 || len(pattern) > 100 || len(replacement) > 100 {
			return
		}
		parsed, problems := parse(ruleOf(pattern, replacement))
		if (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
		e, ok := parsed.(*rule)
		if !ok {
			return
		}
		r := get("/", "X-A", value)
		out, ok := clean(e.rewrite(r, asked, e.pattern.FindAllStringSubmatchIndex(asked, -1)))
		if again, err := normal.Path(out); ok && (err != nil || again != out) {
			t.Fatalf("%q becomes %q, which is not normal: %q, %v", asked, out, again, err)
		}
	})
}
