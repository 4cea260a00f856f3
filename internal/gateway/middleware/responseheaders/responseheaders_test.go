// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package responseheaders

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

// through sends a request through a rule to a backend.
func through(t *testing.T, rule string, backend http.HandlerFunc, r *http.Request) *http.Response {
	t.Helper()
	parsed, problems := parse(json.RawMessage(rule))
	if parsed == nil {
		t.Fatal(problems)
	}
	h, err := parsed.Handler(definition.Build{
		Name: "headers", Version: "1.2.3", Route: definition.RouteInfo{Name: "shop", Path: "/shop", Target: "http://shop:8080"},
	}, backend)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func get() *http.Request { return httptest.NewRequest(http.MethodGet, "/shop", nil) }

func status(code int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Add(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	}
}

func TestHeadersAreSetOnEveryFinalStatus(t *testing.T) { // M28
	t.Parallel()
	const rule = `{"setHeaders":{"X-Frame-Options":"DENY","X-Powered-By":"","X-Count":3,"X-Route":"{route.name} {route.path} {route.target} {gateway.version}"}}`
	for _, code := range []int{200, 204, 301, 304, 401, 404, 429, 500, 503} {
		got := through(t, rule, status(code, "X-Powered-By", "PHP", "X-Frame-Options", "ALLOW"), get()).Header
		if got.Get("X-Frame-Options") != "DENY" || got.Get("X-Powered-By") != "" || got.Get("X-Count") != "3" ||
			got.Get("X-Route") != "shop /shop http://shop:8080 1.2.3" || len(got["X-Frame-Options"]) != 1 {
			t.Errorf("status %d: %v", code, got)
		}
	}
	for name, backend := range map[string]http.HandlerFunc{
		"a body without an explicit head": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")) },
		"an answer that is all empty":     func(http.ResponseWriter, *http.Request) {},
	} {
		if through(t, rule, backend, get()).Header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s goes out without the headers", name)
		}
	}
}

func TestCacheControlIsLimitedToItsStatuses(t *testing.T) {
	t.Parallel()
	const rule = `{"cacheControl":"public, max-age=60","cacheStatuses":[200,404]}`
	for code, want := range map[int]string{200: "public, max-age=60", 404: "public, max-age=60", 500: "no-store"} {
		if got := through(t, rule, status(code, "Cache-Control", "no-store"), get()).Header.Get("Cache-Control"); got != want {
			t.Errorf("status %d: %s", code, got)
		}
	}
}

func TestCookiesKeepAllTheirAttributes(t *testing.T) { // C7, M28
	t.Parallel()
	const rule = `{"setCookies":[
		{"name":"a","value":"1","attributes":{"path":"/x","domain":"example.com","maxAge":60,"secure":true,"HttpOnly":true,"SAMESITE":"none"}},
		{"name":"b","value":2},{"name":"c","value":""},{"name":"d","value":"x","attributes":{"maxAge":-1}}]}`
	got := through(t, rule, status(500, "Set-Cookie", "own=1"), get()).Header["Set-Cookie"]
	want := []string{
		"own=1", "a=1; Path=/x; Domain=example.com; Max-Age=60; HttpOnly; Secure; SameSite=None",
		"b=2; Path=/; SameSite=Lax", "c=; Path=/; Max-Age=0; SameSite=Lax", "d=x; Path=/; Max-Age=0; SameSite=Lax",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const twoOrigins = `{"cors":{"enabled":true,"origins":["https://app.example.com","https://*.example.org"],"allowCredentials":true,"exposeHeaders":["X-Total"],"allowMethods":["get","OPTIONS"],"maxAge":600}}`

func TestOnlyWholeOriginsAreAllowed(t *testing.T) { // M27
	t.Parallel()
	for origin, allowed := range map[string]bool{
		"https://app.example.com":          true,
		"HTTPS://App.Example.com":          true,
		"https://a.example.org":            true,
		"https://a.b.example.org":          true,
		"https://example.org":              false,
		"https://evil-example.org":         false,
		"https://app.example.com.evil.com": false,
		"https://app.example.com:8443":     false,
		"http://app.example.com":           false,
		"http://a.example.org":             false,
		"https://evil.com/.example.org":    false,
		"https://evil.com:1.example.org":   false,
		"null":                             false,
	} {
		r := get()
		r.Header.Set("Origin", origin)
		got := through(t, twoOrigins, status(401, "Access-Control-Allow-Origin", "*", "Vary", "Accept"), r).Header
		want := ""
		if allowed {
			want = origin
		}
		if got.Get("Access-Control-Allow-Origin") != want || len(got["Access-Control-Allow-Origin"]) > 1 || (got.Get("Access-Control-Allow-Credentials") == "true") != allowed {
			t.Errorf("%s: %v", origin, got)
		}
		if vary := strings.Join(got["Vary"], ","); vary != "Accept,Origin" {
			t.Errorf("%s: Vary is %s", origin, vary)
		}
	}
	if got := through(t, twoOrigins, status(200), get()).Header; got.Get("Vary") != "Origin" || got.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("without an origin: %v", got)
	}
}

func TestAPreflightIsAnsweredWithoutTheBackend(t *testing.T) { // R5, M28
	t.Parallel()
	preflight := func(rule, origin, method, headers string) http.Header {
		r := httptest.NewRequest(http.MethodOptions, "/shop", nil)
		r.Header.Set("Origin", origin)
		if method != "" {
			r.Header.Set("Access-Control-Request-Method", method)
		}
		if headers != "" {
			r.Header.Set("Access-Control-Request-Headers", headers)
		}
		got := through(t, rule, func(http.ResponseWriter, *http.Request) { t.Error("the backend was asked") }, r)
		if got.StatusCode != http.StatusNoContent {
			t.Errorf("status %d", got.StatusCode)
		}
		return got.Header
	}
	h := preflight(twoOrigins, "https://app.example.com", "PUT", "X-A, X-B")
	if h.Get("Access-Control-Allow-Methods") != "GET, OPTIONS" || h.Get("Access-Control-Allow-Headers") != "X-A, X-B" ||
		h.Get("Access-Control-Max-Age") != "600" || h.Get("Access-Control-Allow-Origin") != "https://app.example.com" {
		t.Errorf("%v", h)
	}
	if h := preflight(twoOrigins, "https://evil.com", "PUT", ""); h.Get("Access-Control-Allow-Origin")+h.Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("%v", h)
	}
	const everybody = `{"setHeaders":{"X-Frame-Options":"DENY"},"cors":{"enabled":true,"headers":{"X-Old":"1"}}}`
	h = preflight(everybody, "https://a.test", "PATCH", "X-A, \x01bad, X B")
	if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Methods") != "PATCH" || h.Get("Access-Control-Allow-Headers") != "X-A" || h.Get("X-Old") != "1" ||
		h.Get("X-Frame-Options") != "DENY" {
		t.Errorf("%v", h)
	}
	preflight(everybody, "https://a.test", "", "")
}

func TestACORSThatIsOffLeavesTheBackendsAlone(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodOptions, "/shop", nil)
	r.Header.Set("Origin", "https://a.test")
	got := through(t, `{"cors":{"enabled":false,"origins":["https://b.test"]}}`, status(200, "Access-Control-Allow-Origin", "*"), r)
	if got.StatusCode != 200 || got.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
}

func TestAnInformationalHeadPassesUntouched(t *testing.T) { // H7
	t.Parallel()
	parsed, _ := parse(json.RawMessage(`{"setHeaders":{"X-A":"1"}}`))
	h, err := parsed.Handler(definition.Build{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
	}))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	var early []textproto.MIMEHeader
	trace := &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
		early = append(early, h)
		return nil
	}}
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if len(early) != 1 || early[0].Get("Link") == "" || early[0].Get("X-A") != "" || resp.Header.Get("X-A") != "1" {
		t.Errorf("early %v, final %v", early, resp.Header)
	}
}

func TestARuleThatWouldNotHoldIsRefused(t *testing.T) { // C6, M27, M28
	t.Parallel()
	for rule, field := range map[string]string{
		`{}`:                                    "rule",
		`{"setHeaders":{"Content-Length":"1"}}`: "rule.setHeaders.Content-Length",
		`{"setHeaders":{"transfer-encoding":""}}`:                                                              "rule.setHeaders.transfer-encoding",
		`{"setHeaders":{"X-A":"a\r\nX-B: b"}}`:                                                                 "rule.setHeaders.X-A",
		`{"setHeaders":{"X A":"a"}}`:                                                                           "rule.setHeaders.X A",
		`{"cacheControl":"a\nb"}`:                                                                              "rule.cacheControl",
		`{"cacheControl":"a","cacheStatuses":[99]}`:                                                            "rule.cacheStatuses[0]",
		`{"setCookies":[{"name":"a b","value":"1"}]}`:                                                          "rule.setCookies[0]",
		`{"setCookies":[{"name":"a","value":"1"},{"name":"a","value":"2"}]}`:                                   "rule.setCookies[1].name",
		`{"setCookies":[{"name":"a","value":"1","attributes":{"sameSite":"None"}}]}`:                           "rule.setCookies[0].attributes.sameSite",
		`{"setCookies":[{"name":"a","value":"1","attributes":{"path":"x"}}]}`:                                  "rule.setCookies[0].attributes.path",
		`{"setCookies":[{"name":"a","value":"1","attributes":{"domain":"a b"}}]}`:                              "rule.setCookies[0]",
		`{"setCookies":[{"name":"a","value":"1","attributes":{"secur":true}}]}`:                                "rule.setCookies[0].attributes",
		`{"cors":{"enabled":true,"allowCredentials":true}}`:                                                    "rule.cors.allowCredentials",
		`{"cors":{"enabled":true,"origins":["*"],"allowCredentials":true}}`:                                    "rule.cors.allowCredentials",
		`{"cors":{"enabled":true,"origins":["*","https://a.test"]}}`:                                           "rule.cors.origins[0]",
		`{"cors":{"enabled":true,"origins":["a.test"]}}`:                                                       "rule.cors.origins[0]",
		`{"cors":{"enabled":true,"origins":["https://a.test/"]}}`:                                              "rule.cors.origins[0]",
		`{"cors":{"enabled":true,"origins":["https://a*.test"]}}`:                                              "rule.cors.origins[0]",
		`{"cors":{"enabled":true,"origins":["https://a.test","https://A.test"]}}`:                              "rule.cors.origins[1]",
		`{"cors":{"enabled":true,"maxAge":86401}}`:                                                             "rule.cors.maxAge",
		`{"cors":{"enabled":true,"origins":["https://a.test"],"allowCredentials":true,"exposeHeaders":["*"]}}`: "rule.cors.exposeHeaders[0]",
	} {
		parsed, problems := parse(json.RawMessage(rule))
		if parsed != nil || len(problems) != 1 || problems[0].Field != field {
			t.Errorf("%s: %v", rule, problems)
		}
	}
}

func FuzzParse(f *testing.F) { // C10
	f.Add(twoOrigins)
	f.Fuzz(func(t *testing.T, rule string) {
		if parsed, problems := parse(json.RawMessage(rule)); (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
	})
}
