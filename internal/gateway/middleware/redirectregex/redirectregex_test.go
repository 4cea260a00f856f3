// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package redirectregex

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

func send(t *testing.T, rule, path string) (status int, location string, hits int) {
	t.Helper()
	parsed, problems := parse(json.RawMessage(rule))
	if parsed == nil {
		t.Fatal(problems)
	}
	h, err := parsed.Handler(definition.Build{}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ }))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, path, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), &exchange.Exchange{Path: r.URL.EscapedPath()})))
	return w.Code, w.Header().Get("Location"), hits
}

func TestOnlyAMatchIsSentElsewhere(t *testing.T) { // M4, M31
	t.Parallel()
	for _, c := range []struct{ rule, path, want string }{
		{`{"pattern":"^/old/(.*)","replacement":"/new/$1"}`, "/old/a?b=c", "/new/a?b=c"},
		{`{"pattern":"^/old/(.*)","replacement":"/new/$1"}`, "/other", ""},
		{`{"pattern":"^/u/(\\d+)$","replacement":"https://id.example.com/users/$1"}`, "/u/42", "https://id.example.com/users/42"},
		{`{"pattern":"^/go/(.*)","replacement":"$1"}`, "/go//evil.com", "/evil.com"},
		{`{"pattern":"^/go/(.*)","replacement":"/$1"}`, "/go//evil.com/x", "/evil.com/x"},
		{`{"pattern":"^/go/(.*)","replacement":"$1"}`, "/go/https://evil.com", "/https://evil.com"},
		{`{"pattern":"/x$","replacement":"https://a.test/"}`, "/before/x", "https://a.test/"},
		{`{"pattern":"^/go","replacement":"https://a.test"}`, "/go.evil.com/x", "https://a.test/.evil.com/x"},
		{`{"pattern":"^/go","replacement":"https://a.test:80"}`, "/go80", "https://a.test:80/80"},
		{`{"pattern":"^/go","replacement":"https://a.test"}`, "/go@evil.com", "https://a.test/@evil.com"},
		{`{"pattern":"^/.*","replacement":"/n"}`, "/.well-known/acme-challenge/t", ""},
		{`{"pattern":"^/a$","replacement":""}`, "/a", "/"},
	} {
		status, location, hits := send(t, c.rule, c.path)
		if location != c.want || (status == 302) != (c.want != "") || (hits == 0) != (c.want != "") {
			t.Errorf("%s %s: %d %q, %d hits", c.rule, c.path, status, location, hits)
		}
	}
}

func TestTheRequestNeverDecidesTheHost(t *testing.T) { // C6, M31
	t.Parallel()
	for rule, field := range map[string]string{
		`{}`:              "rule.pattern",
		`{"pattern":"("}`: "rule.pattern",
		`{"pattern":"a"}`: "rule.replacement",
		`{"pattern":"(.*)","replacement":"https://$1"}`:   "rule.replacement",
		`{"pattern":"(.*)","replacement":"HTTP://$1.a/"}`: "rule.replacement",
		`{"pattern":"(.*)","replacement":"https:///$1"}`:  "rule.replacement",
		`{"pattern":"(.*)","replacement":"https://a@$1"}`: "rule.replacement",
	} {
		parsed, problems := parse(json.RawMessage(rule))
		if parsed != nil || len(problems) == 0 || problems[0].Field != field {
			t.Errorf("%s: %v", rule, problems)
		}
	}
}

func FuzzLocationStaysOnTheHost(f *testing.F) { // M31, P9
	f.Add("/go/x", "$1")
	f.Add("/go//evil.com", "/$1")
	f.Fuzz(func(t *testing.T, from, replacement string) {
		raw, err := json.Marshal(map[string]string{"pattern": "^/go/(.*)", "replacement": replacement})
		if err != nil {
			t.Fatal(err)
		}
		parsed, problems := parse(raw)
		if (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
		e, ok := parsed.(*rule)
		if !ok || !e.pattern.MatchString(from) {
			return
		}
		location := e.location(from)
		host, absolute := hostOf(replacement)
		if got, is := hostOf(location); absolute && (!is || got != host) {
			t.Fatalf("%q leads to %q", from, location)
		}
		if !absolute && (!strings.HasPrefix(location, "/") || strings.HasPrefix(location, "//") || strings.HasPrefix(location, `/\`)) {
			t.Fatalf("%q leads to %q", from, location)
		}
	})
}
