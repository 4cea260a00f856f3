// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package schematest

func middleware() []Case {
	cases := []Case{
		{Name: "a middleware has a type", Accepted: `{type: access}`, Refused: `{rule: {}}`, Field: "spec.type"},
		{Name: "middleware types are known", Accepted: `{type: httpCache}`, Refused: `{type: teapot}`, Field: "spec.type"},
		{Name: "middleware types have their case", Accepted: `{type: access}`, Refused: `{type: Access}`, Field: "spec.type"},
		{Name: "middleware paths are not empty", Accepted: `{type: access, paths: [/admin, "/admin/*", "^/x/(.*)$"]}`, Refused: `{type: access, paths: [""]}`, Field: "spec.paths[0]"},
		{Name: "a rule may hold other keys", Accepted: `{type: addPrefix, rule: {prefix: /v2, later: {deep: [1, {x: true}]}}}`},
		{Name: "a rule may be empty", Accepted: `{type: errorInterceptor, rule: }`},
		{Name: "a rule may be encrypted", Accepted: `{type: basic, rule: "-----BEGIN PGP MESSAGE-----\n\nhQEM\n-----END PGP MESSAGE-----"}`, Refused: `{type: basic, rule: "users: []"}`, Field: "spec.rule"},
		{Name: "a rule is no list", Accepted: `{type: access, rule: {}}`, Refused: `{type: access, rule: [1]}`, Field: "spec.rule"},
	}
	for _, need := range needs {
		for _, name := range need.types {
			cases = append(cases, Case{
				Name: name + " has what it needs", Accepted: `{type: ` + name + `, rule: ` + need.smallest + `}`,
				Refused: `{type: ` + name + `, rule: {other: 1}}`, Field: "spec.rule." + need.first,
			})
		}
		cases = append(cases, Case{
			Name: need.types[0] + " has a rule", Accepted: `{type: ` + need.types[0] + `, rule: ` + need.smallest + `}`,
			Refused: `{type: ` + need.types[0] + `}`, Field: "spec.rule",
		})
	}
	for _, name := range []string{"access", "requestHeaders", "errorInterceptor", "httpCache", "compress", "retry"} {
		cases = append(cases, Case{Name: name + " needs nothing", Accepted: `{type: ` + name + `}`})
	}
	return of("Middleware", cases)
}

// needs are the types that cannot do without a rule, the smallest rule of each,
// and the key that is named first when all are missing.
var needs = []struct {
	types           []string
	smallest, first string
}{
	{[]string{"basic", "basicAuth"}, `{users: ["a:b"]}`, "users"},
	{[]string{"ldap", "ldapAuth"}, `{url: "ldap://l", baseDN: dc=example}`, "baseDN"},
	{[]string{"jwt", "jwtAuth"}, `{jwksUrl: "https://id.example.com/keys"}`, "jwksUrl"},
	{[]string{"oauth", "oauth2"}, `{clientId: a, clientSecret: b, redirectUrl: "https://a/cb"}`, "clientId"},
	{[]string{"apiKey"}, `{keys: [a]}`, "keys"},
	{[]string{"forwardAuth"}, `{authUrl: "http://auth:9091/verify"}`, "authUrl"},
	{[]string{"accessPolicy", "ipFilter"}, `{sourceRanges: [10.0.0.0/8]}`, "sourceRanges"},
	{[]string{"geoBlock"}, `{action: deny, countries: [DE]}`, "action"},
	{[]string{"userAgentBlock"}, `{userAgents: [bot]}`, "userAgents"},
	{[]string{"rateLimit", "ratelimit"}, `{requestsPerUnit: 1}`, "requestsPerUnit"},
	{[]string{"inFlightLimit"}, `{maxRequests: 1}`, "maxRequests"},
	{[]string{"bodyLimit"}, `{limit: 10Mi}`, "limit"},
	{[]string{"addPrefix"}, `{prefix: /v2}`, "prefix"},
	{[]string{"rewriteRegex"}, `{pattern: "^/a"}`, "pattern"},
	{[]string{"stripPrefix"}, `{prefixes: [/api]}`, "prefixes"},
	{[]string{"stripQuery"}, `{params: [utm]}`, "params"},
	{[]string{"redirect"}, `{url: /new}`, "url"},
	{[]string{"redirectRegex"}, `{pattern: "^/a", replacement: /b}`, "pattern"},
	{[]string{"redirectScheme"}, `{scheme: https}`, "scheme"},
	{[]string{"responseHeaders"}, `{cors: {enabled: true}}`, "setHeaders"},
	{[]string{"accessLog"}, `{cookies: [c]}`, "headers"},
}
