// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// documented are the names that users' files may hold.
var documented = strings.Fields(`access accessLog accessPolicy addPrefix basic basicAuth bodyLimit errorInterceptor
forwardAuth geoBlock httpCache jwt jwtAuth ldap ldapAuth oauth oauth2 rateLimit ratelimit redirect redirectRegex
redirectScheme requestHeaders responseHeaders rewriteRegex stripQuery userAgentBlock`)

func TestEveryDocumentedNameIsKnownAndNoOther(t *testing.T) { // T1
	t.Parallel()
	if got, want := strings.Join(Names(), " "), strings.Join(documented, " "); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestATypeThatIsNotBuiltHasNoRule(t *testing.T) { // M2
	t.Parallel()
	for _, name := range []string{"jwtAuth", "oauth2", "geoBlock"} {
		kind, ok := Lookup(name)
		if !ok {
			t.Fatalf("%s is unknown", name)
		}
		rule, problems := kind.Parse(nil)
		if rule != nil || !config.HasErrors(problems) || problems[0].Reason != config.ReasonUnsupported {
			t.Fatalf("%s: rule %v, problems %v", name, rule, problems)
		}
	}
}

func TestCheckNamesTheMiddlewareAndTheField(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, kind, rule, field string }{
		{"an unknown type", "teapot", "", "type"},
		{"a name in another case", "RateLimit", "", "type"},
		{"an unknown action is not ALLOW", "accessPolicy", `{"action":"permit","sourceRanges":["10.0.0.1"]}`, "rule.action"}, // C6
		{"a policy without sources", "accessPolicy", `{"action":"DENY"}`, "rule.sourceRanges"},
		{"a source that is no address", "accessPolicy", `{"sourceRanges":["10.0.0.1","office"]}`, "rule.sourceRanges[1]"},
		{"a range that ends before it begins", "accessPolicy", `{"sourceRanges":["10.0.0.9-10.0.0.1"]}`, "rule.sourceRanges[0]"},
		{"a range of two families", "accessPolicy", `{"sourceRanges":["10.0.0.9-::1"]}`, "rule.sourceRanges[0]"},
		{"sources that are no list", "accessPolicy", `{"sourceRanges":"10.0.0.1"}`, "rule.sourceRanges"},
		{"a rule that is no object", "accessPolicy", `"secret"`, "rule"},
		{"an absent prefix", "addPrefix", `{}`, "rule.prefix"},
		{"a prefix that climbs", "addPrefix", `{"prefix":"/a/../b"}`, "rule.prefix"}, // P3
		{"a prefix with a query", "addPrefix", `{"prefix":"/a?b"}`, "rule.prefix"},
		{"an unknown scheme", "redirectScheme", `{"scheme":"ftp"}`, "rule.scheme"},
		{"an impossible port", "redirectScheme", `{"scheme":"https","port":70000}`, "rule.port"},
		{"a header with a line break", "requestHeaders", `{"setHeaders":{"X-A":"a\r\nX-B: b"}}`, "rule.setHeaders.X-A"}, // P9
		{"a header that is no name", "requestHeaders", `{"removeHeaders":["X A"]}`, "rule.removeHeaders[0]"},
		{"a framing header", "requestHeaders", `{"setHeaders":{"content-length":"0"}}`, "rule.setHeaders.content-length"}, // H6
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			problems := Check(&config.Middleware{Name: "m", Type: c.kind, Rule: []byte(c.rule)})
			if len(problems) != 1 || problems[0].Field != c.field || problems[0].Object.Name != "m" || !config.HasErrors(problems) {
				t.Fatalf("want one error of %s, got %v", c.field, problems)
			}
			if strings.Contains(problems[0].Message, "secret") { // C8
				t.Fatalf("the message repeats the value: %s", problems[0].Message)
			}
		})
	}
}

func TestAnUnknownKeyIsAWarningAndTheRuleServes(t *testing.T) { // C6
	t.Parallel()
	problems := Check(&config.Middleware{Name: "m", Type: "addPrefix", Rule: []byte(`{"prefix":"/v2","prefx":"/v3"}`)})
	if len(problems) != 1 || problems[0].Field != "rule.prefx" || problems[0].Severity != config.SeverityWarning {
		t.Fatalf("got %v", problems)
	}
}

// answer sends one request through a middleware of the given rule and gives what
// the backend saw, or nil, and what the client got.
func answer(t *testing.T, kind, rule, url, client string, headers ...string) (backend *http.Request, got *http.Response) {
	t.Helper()
	k, _ := Lookup(kind)
	parsed, problems := k.Parse([]byte(rule))
	if parsed == nil {
		t.Fatalf("rule: %v", problems)
	}
	h, err := parsed.Handler(Build{Name: "m", Route: RouteInfo{Path: "/"}}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { backend = r }))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, url, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	x := &exchange.Exchange{ClientIP: netip.MustParseAddr(client), Scheme: "http", Host: r.Host, Path: r.URL.EscapedPath()}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
	return backend, w.Result()
}

func TestAccessPolicyComparesAddressesAsNumbers(t *testing.T) { // M4, M20
	t.Parallel()
	for _, c := range []struct {
		name, rule, client string
		pass               bool
	}{
		{"a listed address passes", `{"action":"allow","sourceRanges":["192.0.2.1"]}`, "192.0.2.1", true},
		{"another does not", `{"sourceRanges":["192.0.2.1"]}`, "192.0.2.2", false},
		{"a range goes over an octet", `{"sourceRanges":["10.0.0.250-10.0.1.5"]}`, "10.0.0.251", true},
		{"a range includes its end", `{"sourceRanges":["10.0.0.250-10.0.1.5"]}`, "10.0.1.5", true},
		{"and nothing after it", `{"sourceRanges":["10.0.0.250-10.0.1.5"]}`, "10.0.1.6", false},
		{"nor before its start", `{"sourceRanges":["10.0.0.250-10.0.1.5"]}`, "10.0.0.249", false},
		{"a range of everything", `{"sourceRanges":["0.0.0.0-255.255.255.255"]}`, "203.0.113.9", true},
		{"an IPv6 range", `{"sourceRanges":["2001:db8::5-2001:db8::1:0"]}`, "2001:db8::ffff", true},
		{"host bits are masked", `{"sourceRanges":["10.1.2.3/8"]}`, "10.200.0.1", true},
		{"a mapped address is IPv4", `{"action":"DENY","sourceRanges":["10.0.0.0/8"]}`, "::ffff:10.0.0.1", false},
		{"a mapped block is IPv4", `{"sourceRanges":["::ffff:10.0.0.0/104"]}`, "10.0.0.1", true},
		{"DENY lets others pass", `{"action":"Deny","sourceRanges":["10.0.0.0/8"]}`, "192.0.2.1", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			backend, got := answer(t, "accessPolicy", c.rule, "/", c.client)
			if (backend != nil) != c.pass || (got.StatusCode == http.StatusForbidden) == c.pass {
				t.Fatalf("backend reached: %v, status %d", backend != nil, got.StatusCode)
			}
		})
	}
}

func TestAddPrefixJoinsWithOneSlash(t *testing.T) { // M31
	t.Parallel()
	for _, c := range []struct{ name, prefix, path, want string }{
		{"a plain prefix", "/prefix", "/api", "/prefix/api"},
		{"a prefix with slashes around", "prefix/", "/api", "/prefix/api"},
		{"the root", "/prefix", "/", "/prefix/"},
		{"an encoded slash stays encoded", "/prefix", "/a%2Fb", "/prefix/a%2Fb"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			backend, _ := answer(t, "addPrefix", `{"prefix":"`+c.prefix+`"}`, c.path, "192.0.2.1")
			if got := backend.URL.EscapedPath(); got != c.want || exchange.Of(backend).Path != c.want {
				t.Fatalf("got %q and %q, want %q", got, exchange.Of(backend).Path, c.want)
			}
		})
	}
}

func TestRequestHeadersTakesEverySpellingFromTheClient(t *testing.T) { // P8
	t.Parallel()
	backend, _ := answer(t, "requestHeaders", `{"setHeaders":{"X-User-ID":"gateway","X-Gone":""},"removeHeaders":["X-Debug"]}`, "/", "192.0.2.1",
		"X-User-Id", "client", "X_User_Id", "client", "X-Gone", "client", "X_debug", "1", "X-Kept", "yes")
	want := http.Header{"X-User-Id": {"gateway"}, "X-Kept": {"yes"}}
	if len(backend.Header) != len(want) || backend.Header.Get("X-User-Id") != "gateway" || backend.Header.Get("X-Kept") != "yes" {
		t.Fatalf("got %v, want %v", backend.Header, want)
	}
}

func TestRedirectSchemeKeepsHostPathAndQuery(t *testing.T) { // M31, A8
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
		{"another host in the path stays a path", `{"scheme":"https"}`, "http://a.example.com//evil.com", "https://a.example.com//evil.com", 302},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			backend, got := answer(t, "redirectScheme", c.rule, c.url, "192.0.2.1")
			if backend != nil || got.StatusCode != c.status || got.Header.Get("Location") != c.location {
				t.Fatalf("got %d to %q, want %d to %q", got.StatusCode, got.Header.Get("Location"), c.status, c.location)
			}
		})
	}
	if backend, _ := answer(t, "redirectScheme", `{"scheme":"https"}`, "http://a.example.com/.well-known/acme-challenge/token", "192.0.2.1"); backend == nil {
		t.Fatal("an ACME challenge was redirected")
	}
	if backend, _ := answer(t, "redirectScheme", `{"scheme":"http"}`, "http://a.example.com/", "192.0.2.1"); backend == nil {
		t.Fatal("a request of the right scheme was redirected")
	}
}
