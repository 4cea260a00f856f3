// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

func get(t *testing.T, rule, path string, paths ...string) (status, hits int) {
	t.Helper()
	parsed, problems := parse(json.RawMessage(rule))
	if parsed == nil {
		t.Fatal(problems)
	}
	h, err := parsed.Handler(definition.Build{Paths: paths, Route: definition.RouteInfo{Path: "/shop"}},
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ }))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, path, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), &exchange.Exchange{Path: path})))
	return w.Code, hits
}

func TestOnlyThePathsAreClosed(t *testing.T) { // M3, M4, R1
	t.Parallel()
	for _, c := range []struct {
		rule, path string
		status     int
	}{
		{"", "/shop/docs", 403},
		{"null", "/shop/DOCS/x", 403},
		{"{}", "/docs", 403},
		{`{"statusCode":404}`, "/docs/x", 404},
		{"{}", "/docsify", 200},
		{"{}", "/shop", 200},
	} {
		status, hits := get(t, c.rule, c.path, "/docs")
		if status != c.status || (hits == 0) == (status == 200) {
			t.Errorf("%s %s: status %d, %d hits", c.rule, c.path, status, hits)
		}
	}
	if status, hits := get(t, "{}", "/x"); status != 200 || hits != 1 {
		t.Errorf("without paths: status %d", status)
	}
}

func TestARuleThatIsNoRefusalIsInvalid(t *testing.T) { // C6
	t.Parallel()
	for rule, field := range map[string]string{
		`{"statusCode":200}`: "rule.statusCode", `{"statusCode":600}`: "rule.statusCode", `{"statusCode":"x"}`: "rule.statusCode",
	} {
		if parsed, problems := parse(json.RawMessage(rule)); parsed != nil || len(problems) != 1 || problems[0].Field != field {
			t.Errorf("%s: %v", rule, problems)
		}
	}
}

func FuzzParse(f *testing.F) { // C10
	f.Add(`{"statusCode":404}`)
	f.Fuzz(func(t *testing.T, rule string) {
		if parsed, problems := parse(json.RawMessage(rule)); (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
	})
}
