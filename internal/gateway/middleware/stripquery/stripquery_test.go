// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package stripquery

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

func TestNamedParametersGoAndTheRestStaysByteForByte(t *testing.T) { // P4
	t.Parallel()
	const all = `{"params":["utm","a b"]}`
	for _, c := range []struct{ rule, method, target, want string }{
		{all, "GET", "/?utm=1&x=2", "x=2"},
		{all, "GET", "/?x=%zz&utm&y=1;2&&z=%2b", "x=%zz&y=1;2&&z=%2b"},
		{all, "GET", "/?a+b=1&%75tm=2&A+b=3", "A+b=3"},
		{all, "GET", "/?utm=1&utm=2", ""},
		{all, "GET", "/?x=utm", "x=utm"},
		{all, "GET", "/", ""},
		{`{"params":["utm"],"methods":["get"]}`, "GET", "/?utm=1", ""},
		{`{"params":["utm"],"methods":["get"]}`, "POST", "/?utm=1", "utm=1"},
		{`{"params":["utm"],"pathPattern":"^/shop"}`, "GET", "/shop?utm=1", ""},
		{`{"params":["utm"],"pathPattern":"^/shop"}`, "GET", "/other?utm=1", "utm=1"},
	} {
		parsed, problems := parse(json.RawMessage(c.rule))
		if parsed == nil {
			t.Fatal(problems)
		}
		var seen *http.Request
		h, err := parsed.Handler(definition.Build{}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r }))
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(c.method, c.target, nil)
		before := r.URL.RawQuery
		h.ServeHTTP(httptest.NewRecorder(), r.WithContext(exchange.With(r.Context(), &exchange.Exchange{Path: r.URL.Path})))
		if seen.URL.RawQuery != c.want || r.URL.RawQuery != before {
			t.Errorf("%s %s: the backend saw %q", c.rule, c.target, seen.URL.RawQuery)
		}
	}
}

func TestARuleThatStripsNothingIsInvalid(t *testing.T) { // C6
	t.Parallel()
	for rule, field := range map[string]string{
		"{}": "rule.params", `{"params":["a",""]}`: "rule.params[1]", `{"params":["a"],"pathPattern":"("}`: "rule.pathPattern",
	} {
		if parsed, problems := parse(json.RawMessage(rule)); parsed != nil || len(problems) != 1 || problems[0].Field != field {
			t.Errorf("%s: %v", rule, problems)
		}
	}
}

func FuzzParse(f *testing.F) { // C10
	f.Add(`{"params":["a"]}`)
	f.Fuzz(func(t *testing.T, rule string) {
		if parsed, problems := parse(json.RawMessage(rule)); (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
	})
}
