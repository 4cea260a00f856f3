// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/observe"
)

// line serves one request through the rules, and gives its line in the access log
// at a level; nil if there is none.
func line(t *testing.T, level string, edit func(*http.Request), rules ...string) (map[string]any, string) {
	t.Helper()
	var h http.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { r.Header.Set("X-User", "ann") })
	for _, text := range rules {
		parsed, problems := parse([]byte(text))
		if parsed == nil {
			t.Fatal(problems)
		}
		var err error
		if h, err = parsed.Handler(definition.Build{}, h); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	log, err := observe.NewLog(config.Log{Level: level, Format: "json"}, &out)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/cart?page=2&tag=a&tag=b%20c&token=canary-1&url=/x", nil)
	r.Header.Set("X-Tenant", "acme")
	r.Header.Set("Cookie", "theme=dark; session_id=canary-2")
	r.Header.Set("Authorization", "Bearer canary-3")
	r.Header.Set("X-User", "mallory")
	if edit != nil {
		edit(r)
	}
	r = r.WithContext(exchange.With(r.Context(), &exchange.Exchange{Route: "shop", Path: "/cart"}))
	observe.NewObserver(log, nil).Wrap(h).ServeHTTP(httptest.NewRecorder(), r)
	log.Close()
	if out.Len() == 0 {
		return nil, ""
	}
	var fields map[string]any
	if err := json.Unmarshal(out.Bytes(), &fields); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	return fields, out.String()
}

func TestWhatIsListedIsLoggedAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, rule, key, want string }{
		{"a header, in lower case", `{"headers":["x-TENANT"]}`, "x-tenant", "acme"},
		{"a header as it was at the end", `{"headers":["X-User"]}`, "x-user", "ann"},
		{"a parameter", `{"query":["page"]}`, "page", "2"},
		{"a repeated parameter", `{"query":["tag"]}`, "tag", "a, b c"},
		{"a cookie", `{"cookies":["theme"]}`, "theme", "dark"},
		{"a parameter that is named like a usual field", `{"query":["url"]}`, "query_url", "/x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			plain, _ := line(t, "info", nil)
			got, text := line(t, "info", nil, c.rule)
			if got[c.key] != c.want || len(got) != len(plain)+1 {
				t.Fatalf("%s is %v in %s", c.key, got[c.key], text)
			}
		})
	}
}

func TestWhatARequestDoesNotHaveHasNoField(t *testing.T) {
	t.Parallel()
	plain, _ := line(t, "info", nil)
	if got, text := line(t, "info", nil, `{"headers":["X-None"],"query":["none","pag"],"cookies":["none"]}`); len(got) != len(plain) {
		t.Error(text)
	}
}

func TestCredentialsAreNamedAndNotShown(t *testing.T) { // B5
	t.Parallel()
	rule := `{"headers":["Authorization","Cookie","X-Api-Key"],"query":["token"],"cookies":["session_id"]}`
	for _, level := range []string{"info", "debug", "trace"} {
		got, text := line(t, level, func(r *http.Request) { r.Header.Set("X-Api-Key", "canary-4") }, rule)
		if strings.Contains(text, "canary") {
			t.Errorf("%s: %s", level, text)
		}
		for _, key := range []string{"authorization", "cookie", "x-api-key", "token", "session_id"} {
			if got[key] != "***" {
				t.Errorf("%s: %s is %v", level, key, got[key])
			}
		}
	}
}

func TestAValueCannotBreakOrFloodTheLine(t *testing.T) { // P9
	t.Parallel()
	got, text := line(t, "info", func(r *http.Request) {
		r.Header.Set("X-Tenant", "a\n\"level\":\"ERROR\""+strings.Repeat("x", 5000))
	}, `{"headers":["X-Tenant"]}`)
	if strings.Count(text, "\n") != 1 || len(text) > 3000 || got["level"] != "INFO" {
		t.Error(text)
	}
}

// A client must not write over what the gateway says, in any reader of JSON.
func TestNoFieldOccursTwice(t *testing.T) {
	t.Parallel()
	quoted := `["` + strings.Join(usual, `","`) + `"]`
	headers := strings.ReplaceAll(quoted, "_", "-")
	all := `{"headers":` + headers + `,"query":` + quoted + `,"cookies":` + quoted + `}`
	_, text := line(t, "debug", func(r *http.Request) {
		r.URL.RawQuery = strings.Join(usual, "=1&") + "=1"
		r.Header.Set("Cookie", strings.Join(usual, "=2; ")+"=2")
		for _, name := range usual {
			r.Header.Set(strings.ReplaceAll(name, "_", "-"), "3")
		}
	}, all, all)
	decoder := json.NewDecoder(strings.NewReader(text))
	seen, depth, key := map[string]bool{}, 0, true
	for {
		token, err := decoder.Token()
		if err != nil {
			break
		}
		if d, ok := token.(json.Delim); ok {
			if d == '{' {
				depth++
			} else {
				depth--
			}
			key = true
			continue
		}
		if name, ok := token.(string); ok && depth == 1 && key {
			if seen[name] {
				t.Errorf("%s occurs twice", name)
			}
			seen[name] = true
		}
		key = !key
	}
	for _, want := range []string{"query_status", "cookie_status", "header_status", "status"} {
		if !seen[want] {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

func TestTwoOfThemOnARouteAddUp(t *testing.T) {
	t.Parallel()
	got, text := line(t, "info", nil, `{"query":["page"]}`, `{"query":["page"],"cookies":["theme"]}`)
	if got["page"] != "2" || got["theme"] != "dark" {
		t.Error(text)
	}
}

// Allocations are counted one at a time: this test is not parallel.
func TestALineThatIsNotWrittenTakesNoValues(t *testing.T) {
	if got, text := line(t, "error", nil, `{"query":["page"]}`); got != nil {
		t.Error(text)
	}
	parsed, _ := parse([]byte(`{"headers":["X-Tenant"],"query":["page"],"cookies":["theme"]}`))
	h, err := parsed.Handler(definition.Build{}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	if err != nil {
		t.Fatal(err)
	}
	x := &exchange.Exchange{}
	r := httptest.NewRequest(http.MethodGet, "/?page=2", nil)
	r = r.WithContext(exchange.With(r.Context(), x))
	if n := testing.AllocsPerRun(100, func() { x.LogFields = nil; h.ServeHTTP(nil, r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestARuleThatLogsNothingIsRefused(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		``: "rule", `{"headers":[]}`: "rule", `{"headers":["a b"]}`: "rule.headers[0]", `{"query":["a",""]}`: "rule.query[1]",
		`{"cookies":["a=b"]}`: "rule.cookies[0]", `{"headers":"X"}`: "rule.headers",
	} {
		if parsed, problems := parse([]byte(rule)); parsed != nil || problems[0].Field != want {
			t.Errorf("%s: %v", rule, problems)
		}
	}
	if _, problems := parse([]byte(`{"header":["X"],"query":["a"]}`)); len(problems) != 1 || !strings.Contains(problems[0].Message, "headers") {
		t.Error(problems)
	}
}
