// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package redirect

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

func TestEverybodyIsSentElsewhere(t *testing.T) { // M4, M31
	t.Parallel()
	for _, c := range []struct {
		rule, method, path, want string
		status                   int
	}{
		{`{"url":"https://www.example.com/new"}`, "GET", "/x?a=b", "https://www.example.com/new", 302},
		{`{"url":"https://www.example.com/new","permanent":true}`, "HEAD", "/x", "https://www.example.com/new", 301},
		{`{"url":"/new"}`, "GET", "/x?a=b&c=%20", "/new?a=b&c=%20", 302},
		{`{"url":"/new?own=1"}`, "GET", "/x?a=b", "/new?own=1", 302},
		{`{"url":"/new"}`, "POST", "/x", "/new", 307},
		{`{"url":"/new","permanent":true}`, "PUT", "/x", "/new", 308},
		{`{"url":"/new"}`, "GET", "/.well-known/acme-challenge/token", "", 200},
	} {
		parsed, problems := parse(json.RawMessage(c.rule))
		if parsed == nil {
			t.Fatal(problems)
		}
		hits := 0
		h, err := parsed.Handler(definition.Build{}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ }))
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(c.method, c.path, nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), &exchange.Exchange{Path: r.URL.Path})))
		if w.Code != c.status || w.Header().Get("Location") != c.want || (hits == 0) == (c.status == 200) {
			t.Errorf("%s %s %s: %d %q, %d hits", c.rule, c.method, c.path, w.Code, w.Header().Get("Location"), hits)
		}
	}
}

func TestADestinationThatIsNoneIsInvalid(t *testing.T) { // C6, M31
	t.Parallel()
	for _, rule := range []string{`{}`, `{"url":""}`, `{"url":"//evil.com"}`, `{"url":"/\\evil.com"}`, `{"url":"ftp://a/"}`, `{"url":"https:///a"}`, `{"url":"a/b"}`, `{"url":"/a\r\nX: y"}`, `{"url":"javascript:alert(1)"}`} {
		if parsed, problems := parse(json.RawMessage(rule)); parsed != nil || len(problems) != 1 {
			t.Errorf("%s: %v", rule, problems)
		}
	}
}

func FuzzParse(f *testing.F) { // C10
	f.Add(`{"url":"/a"}`)
	f.Fuzz(func(t *testing.T, rule string) {
		if parsed, problems := parse(json.RawMessage(rule)); (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
	})
}
