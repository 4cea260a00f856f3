// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package redirectscheme

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

// ask sends a request through a rule; edit may change it and what is known of it.
func ask(t *testing.T, rule, url string, edit func(*http.Request, *exchange.Exchange)) (got *http.Response, reached bool) {
	t.Helper()
	parsed, problems := parse(json.RawMessage(rule))
	if parsed == nil {
		t.Fatal(problems)
	}
	h, err := parsed.Handler(definition.Build{Name: "https"}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, url, nil)
	x := &exchange.Exchange{Scheme: "http", Host: r.Host, Path: r.URL.EscapedPath()}
	edit(r, x)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
	return w.Result(), reached
}

func asIs(*http.Request, *exchange.Exchange) {}

func TestARedirectStaysOnItsHostPathAndQuery(t *testing.T) { // M31
	t.Parallel()
	for _, c := range []struct {
		name, rule, url, location string
		status                    int
	}{
		{"temporarily by default", `{"scheme":"https"}`, "http://a.example.com/x?y=1", "https://a.example.com/x?y=1", 302},
		{"for good when told", `{"scheme":"HTTPS","permanent":true}`, "http://a.example.com/", "https://a.example.com/", 301},
		{"the port of the listener does not leak", `{"scheme":"https"}`, "http://a.example.com:8080/", "https://a.example.com/", 302},
		{"a port that is configured shows", `{"scheme":"https","port":8443}`, "http://a.example.com:8080/", "https://a.example.com:8443/", 302},
		{"the default port does not show", `{"scheme":"https","port":443}`, "http://[::1]:8080/", "https://[::1]/", 302},
		{"an address without a port", `{"scheme":"https","port":8443}`, "http://[::1]/", "https://[::1]:8443/", 302},
		{"another host in the path stays a path", `{"scheme":"https"}`, "http://a.example.com//evil.com", "https://a.example.com//evil.com", 302},
		{"what is encoded stays encoded", `{"scheme":"https"}`, "http://a.example.com/a%0d%0ab?c=%0d%0a", "https://a.example.com/a%0d%0ab?c=%0d%0a", 302}, // P9
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, reached := ask(t, c.rule, c.url, asIs)
			if reached || got.StatusCode != c.status || got.Header.Get("Location") != c.location {
				t.Fatalf("got %d to %q, want %d to %q", got.StatusCode, got.Header.Get("Location"), c.status, c.location)
			}
		})
	}
}

func TestAMethodWithABodyIsKept(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]map[string]int{
		`{"scheme":"https"}`:                  {"GET": 302, "HEAD": 302, "POST": 307, "DELETE": 307},
		`{"scheme":"https","permanent":true}`: {"GET": 301, "HEAD": 301, "POST": 308, "PUT": 308},
	} {
		for method, status := range want {
			got, _ := ask(t, rule, "http://a.example.com/", func(r *http.Request, _ *exchange.Exchange) { r.Method = method })
			if got.StatusCode != status {
				t.Errorf("%s %s: status %d, want %d", rule, method, got.StatusCode, status)
			}
		}
	}
}

func TestWhatNeedsNoRedirectPasses(t *testing.T) { // A8, M31
	t.Parallel()
	for name, edit := range map[string]func(*http.Request, *exchange.Exchange){
		"an ACME challenge": func(_ *http.Request, x *exchange.Exchange) { x.Path = "/.well-known/acme-challenge/token" },
		"https":             func(_ *http.Request, x *exchange.Exchange) { x.Scheme = "https" }, // also as a trusted proxy tells it: no loop
	} {
		if got, reached := ask(t, `{"scheme":"https"}`, "http://a.example.com/", edit); !reached || got.Header.Get("Location") != "" {
			t.Errorf("%s is sent to %q", name, got.Header.Get("Location"))
		}
	}
	for name, edit := range map[string]func(*http.Request, *exchange.Exchange){
		"a path that only begins like one":      func(_ *http.Request, x *exchange.Exchange) { x.Path = "/.well-known/acme-challenges" },
		"a client that claims to come by https": func(r *http.Request, _ *exchange.Exchange) { r.Header.Set("X-Forwarded-Proto", "https") },
	} {
		if got, reached := ask(t, `{"scheme":"https"}`, "http://a.example.com/", edit); reached || got.StatusCode != http.StatusFound {
			t.Errorf("%s passes", name)
		}
	}
}

func TestWithoutAHostNoPathBecomesOne(t *testing.T) { // M31
	t.Parallel()
	got, reached := ask(t, `{"scheme":"https"}`, "http://a.example.com/evil.com", func(_ *http.Request, x *exchange.Exchange) { x.Host = "" })
	if reached || got.StatusCode != http.StatusBadRequest || got.Header.Get("Location") != "" {
		t.Errorf("got %d to %q", got.StatusCode, got.Header.Get("Location"))
	}
}

func TestARuleThatCannotBeMeantIsRefused(t *testing.T) { // C6
	t.Parallel()
	for rule, field := range map[string]string{
		`{}`:                               "rule.scheme",
		`{"scheme":"ftp"}`:                 "rule.scheme",
		`{"scheme":"https","port":70000}`:  "rule.port",
		`{"scheme":"https","port":-1}`:     "rule.port",
		`{"scheme":"https","port":"8443"}`: "rule.port",
		`{"scheme":"https","permanent":1}`: "rule.permanent",
	} {
		if parsed, problems := parse(json.RawMessage(rule)); parsed != nil || len(problems) != 1 || problems[0].Field != field {
			t.Errorf("%s: rule %v, %v", rule, parsed, problems)
		}
	}
}

func FuzzParse(f *testing.F) { // C10
	f.Add(`{"scheme":"https","port":8443}`)
	f.Fuzz(func(t *testing.T, rule string) {
		if parsed, problems := parse(json.RawMessage(rule)); (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
	})
}
