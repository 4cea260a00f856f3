// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package requestheaders

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

// arriving are the headers that the backend sees of a request with those given.
func arriving(t *testing.T, rule, path string, sent http.Header, paths ...string) (seen http.Header) {
	t.Helper()
	parsed, problems := parse(json.RawMessage(rule))
	if parsed == nil {
		t.Fatal(problems)
	}
	h, err := parsed.Handler(definition.Build{Name: "headers", Paths: paths, Route: definition.RouteInfo{Path: "/app"}},
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.Header }))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, path, nil)
	maps.Copy(r.Header, sent.Clone())
	h.ServeHTTP(httptest.NewRecorder(), r.WithContext(exchange.With(r.Context(), &exchange.Exchange{Path: path})))
	return seen
}

func TestTheBackendSeesWhatTheRuleSays(t *testing.T) { // P8
	t.Parallel()
	for _, c := range []struct {
		name, rule string
		sent, want http.Header
	}{
		{"a header is set", `{"setHeaders":{"x-a":"1"}}`, http.Header{"X-B": {"2"}}, http.Header{"X-A": {"1"}, "X-B": {"2"}}},
		{"a number and a boolean are text", `{"setHeaders":{"X-A":1.50,"X-B":true}}`, nil, http.Header{"X-A": {"1.50"}, "X-B": {"true"}}},
		{"a header is replaced, all its values", `{"setHeaders":{"X-A":"1"}}`, http.Header{"X-A": {"2", "3"}}, http.Header{"X-A": {"1"}}},
		{"an empty value removes", `{"setHeaders":{"X-A":""}}`, http.Header{"X-A": {"2"}}, http.Header{}},
		{"a header is removed", `{"removeHeaders":["x-a"]}`, http.Header{"X-A": {"2"}, "X-Ab": {"3"}}, http.Header{"X-Ab": {"3"}}},
		{"removed first, then set", `{"removeHeaders":["X-A"],"setHeaders":{"X-A":"1"}}`, http.Header{"X-A": {"2"}}, http.Header{"X-A": {"1"}}},
		{
			"no spelling of the client beside what is set", `{"setHeaders":{"X-User-ID":"gateway"}}`,
			http.Header{"X-User-Id": {"c"}, "X_User_Id": {"c"}, "X-User_id": {"c"}, "X_USER_ID": {"c"}}, http.Header{"X-User-Id": {"gateway"}},
		},
		{
			"every spelling is removed", `{"removeHeaders":["X_Debug"]}`,
			http.Header{"X-Debug": {"1"}, "X_debug": {"1"}, "x-DEBUG": {"1"}}, http.Header{},
		},
		{"an empty rule changes nothing", `{}`, http.Header{"X-A": {"1"}}, http.Header{"X-A": {"1"}}},
		{"credentials can be replaced", `{"setHeaders":{"Authorization":"Bearer of-the-gateway"}}`, http.Header{"Authorization": {"Basic x"}}, http.Header{"Authorization": {"Bearer of-the-gateway"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := arriving(t, c.rule, "/app", c.sent)
			if !maps.EqualFunc(got, c.want, slices.Equal[[]string]) {
				t.Fatalf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestOnlyTheCoveredPathsAreEdited(t *testing.T) { // M3
	t.Parallel()
	const rule = `{"setHeaders":{"X-A":"1"}}`
	for path, want := range map[string]string{"/app/admin": "1", "/app/ADMIN/x": "1", "/app/administrator": "", "/app": ""} {
		if got := arriving(t, rule, path, nil, "/admin").Get("X-A"); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	parsed, _ := parse(json.RawMessage(rule))
	if _, err := parsed.Handler(definition.Build{Paths: []string{"/x("}}, nil); err == nil { // M2
		t.Error("a path that cannot be compiled is left out")
	}
}

func TestARuleThatCannotBeMeantIsRefused(t *testing.T) { // C6, H6, P9
	t.Parallel()
	for rule, field := range map[string]string{
		`{"setHeaders":{"X A":"1"}}`:               "rule.setHeaders.X A",
		`{"setHeaders":{"":"1"}}`:                  "rule.setHeaders.",
		`{"setHeaders":{"X-A":"a\r\nX-B: b"}}`:     "rule.setHeaders.X-A",
		`{"setHeaders":{"X-A":"a\u0000"}}`:         "rule.setHeaders.X-A",
		`{"setHeaders":{"X-A":"Bearer ${TOKEN}"}}`: "rule.setHeaders.X-A", // C2
		`{"setHeaders":{"X-A":["1"]}}`:             "rule.setHeaders.X-A",
		`{"setHeaders":{"content-length":"0"}}`:    "rule.setHeaders.content-length",
		`{"setHeaders":{"Transfer-Encoding":""}}`:  "rule.setHeaders.Transfer-Encoding",
		`{"removeHeaders":["X-A","Connection"]}`:   "rule.removeHeaders[1]",
		`{"removeHeaders":["X A"]}`:                "rule.removeHeaders[0]",
		`{"removeHeaders":"X-A"}`:                  "rule.removeHeaders",
	} {
		if parsed, problems := parse(json.RawMessage(rule)); parsed != nil || len(problems) != 1 || problems[0].Field != field {
			t.Errorf("%s: rule %v, %v", rule, parsed, problems)
		}
	}
}

func FuzzParse(f *testing.F) { // C10
	f.Add(`{"setHeaders":{"X-A":1},"removeHeaders":["X-B"]}`)
	f.Fuzz(func(t *testing.T, rule string) {
		if parsed, problems := parse(json.RawMessage(rule)); (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
	})
}
