// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

// documented are the names that users' files may hold.
var documented = strings.Fields(`access accessLog accessPolicy addPrefix apiKey basic basicAuth bodyLimit circuitBreaker compress errorInterceptor
forwardAuth geoBlock httpCache inFlightLimit ipFilter jwt jwtAuth ldap ldapAuth oauth oauth2 rateLimit ratelimit
redirect redirectRegex redirectScheme requestHeaders responseHeaders retry rewriteRegex stripPrefix stripQuery
userAgentBlock waf`)

func TestEveryDocumentedNameIsKnownAndNoOther(t *testing.T) { // T1
	t.Parallel()
	if got, want := strings.Join(Names(), " "), strings.Join(documented, " "); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestATypeThatIsNotBuiltHasNoRule(t *testing.T) { // M2
	t.Parallel()
	rule, problems := unsupported("brewTea").Parse(nil)
	if rule != nil || !config.HasErrors(problems) || problems[0].Reason != config.ReasonUnsupported {
		t.Fatalf("rule %v, problems %v", rule, problems)
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

func TestCheckJudgesPathsAsTheGatewayDoes(t *testing.T) { // C5, M3
	t.Parallel()
	for _, c := range []struct {
		name, kind string
		paths      []string
		field      string
		severity   config.Severity
	}{
		{"a broken expression", "requestHeaders", []string{"/ok", "/x("}, "paths[1]", config.SeverityError},
		{"paths where they limit", "rateLimit", []string{"/x", "^/y/.*$"}, "", ""},
		{"paths where they do nothing", "addPrefix", []string{"/x"}, "paths", config.SeverityNote},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			problems := Check(&config.Middleware{Name: "m", Type: c.kind, Paths: c.paths, Rule: []byte(passing[c.kind])})
			if c.field == "" && len(problems) == 0 {
				return
			}
			if len(problems) != 1 || problems[0].Field != c.field || problems[0].Severity != c.severity {
				t.Fatalf("want a problem of %s, got %v", c.field, problems)
			}
		})
	}
}

func TestATypeIsScopedWhereItsHandlerIs(t *testing.T) {
	t.Parallel()
	for _, name := range built() {
		kind, _ := Lookup(name)
		rule, _ := kind.Parse([]byte(passing[name]))
		_, err := rule.Handler(buildOf(t, name, "/x("), nil)
		if (err != nil) != kind.Scoped {
			t.Errorf("%s: scoped is %v, but a broken path gives %v", name, kind.Scoped, err)
		}
	}
}

func TestCheckLeavesToTheGatewayWhatOnlyItKnows(t *testing.T) { // C2, C5
	t.Parallel()
	for _, c := range []struct {
		name, kind, rule string
		fields           []string
	}{
		{"a password", "basic", `{"users":[{"username":"ann","password":"${ANN}"}]}`, nil},
		{"a password in the short form", "basic", `{"users":["ann:${ANN}"]}`, nil},
		{"an address", "accessPolicy", `{"sourceRanges":["${OFFICE}"]}`, nil},
		{"a number", "rateLimit", `{"requestsPerUnit":"${RATE}"}`, nil},
		{"a header", "requestHeaders", `{"setHeaders":{"Authorization":"Bearer ${TOKEN}"}}`, nil},
		{"what is wrong beside it", "accessPolicy", `{"sourceRanges":["${OFFICE}","home"]}`, []string{"rule.sourceRanges[1]"}},
		{"a longer name", "requestHeaders", `{"setHeaders":{"X-A":"${A}","X-Ab":"a\nb"}}`, []string{"rule.setHeaders.X-Ab"}},
		{"what is missing", "basic", `{"realm":"${REALM}"}`, []string{"rule.users"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			problems := Check(&config.Middleware{Name: "m", Type: c.kind, Rule: []byte(c.rule)})
			var fields []string
			for _, p := range problems {
				fields = append(fields, p.Field)
			}
			if strings.Join(fields, " ") != strings.Join(c.fields, " ") {
				t.Fatalf("want problems of %v, got %v", c.fields, problems)
			}
		})
	}
}

func TestAGatewayDoesNotServeWithAVariableThatIsNotSet(t *testing.T) { // C2
	t.Parallel()
	for kind, rule := range map[string]string{
		"basic": `{"users":["ann:${ANN}"]}`, "requestHeaders": `{"setHeaders":{"Authorization":"Bearer ${TOKEN}"}}`, "accessPolicy": `{"sourceRanges":["${OFFICE}"]}`,
	} {
		k, _ := Lookup(kind)
		if parsed, problems := k.Parse([]byte(rule)); parsed != nil || !config.HasErrors(problems) {
			t.Errorf("%s is built of %s", kind, rule)
		}
	}
}
