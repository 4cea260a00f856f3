// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package schematest

// a Route with a target and one more field, and one with backends.
func with(field string) string {
	return `{gateways: [g], path: /, target: "http://b", ` + field + `}`
}

func route() []Case {
	return of("Route", []Case{
		{Name: "a route needs gateway, path and target", Accepted: `{gateways: [g], path: /, target: "http://b"}`},
		{Name: "a route names gateways", Accepted: `{gateways: [g, h], path: /, target: "http://b"}`, Refused: `{path: /, target: "http://b"}`, Field: "spec.gateways"},
		{Name: "a route names at least one gateway", Accepted: `{gateways: [g], path: /, target: "http://b"}`, Refused: `{gateways: [], path: /, target: "http://b"}`, Field: "spec.gateways"},
		{Name: "a gateway has a name", Accepted: `{gateways: [g], path: /, target: "http://b"}`, Refused: `{gateways: [""], path: /, target: "http://b"}`, Field: "spec.gateways[0]"},
		{Name: "a route has a path", Accepted: `{gateways: [g], path: /x, target: "http://b"}`, Refused: `{gateways: [g], target: "http://b"}`, Field: "spec.path"},
		{Name: "a path is not empty", Accepted: `{gateways: [g], path: api, target: "http://b"}`, Refused: `{gateways: [g], path: "", target: "http://b"}`, Field: "spec.path"},
		{Name: "a path has no query", Accepted: `{gateways: [g], path: "/a%3Fb", target: "http://b"}`, Refused: `{gateways: [g], path: "/a?b", target: "http://b"}`, Field: "spec.path", Says: "percent-encode"},
		{Name: "a path has no spaces", Accepted: `{gateways: [g], path: "/a%20b/ü", target: "http://b"}`, Refused: `{gateways: [g], path: "/a b", target: "http://b"}`, Field: "spec.path", Says: "percent-encode"},
		{Name: "a path has no dot segments", Accepted: `{gateways: [g], path: /.well-known/a..b, target: "http://b"}`, Refused: `{gateways: [g], path: /a/../b, target: "http://b"}`, Field: "spec.path", Says: "dot segments"},
		{Name: "a placeholder is a segment", Accepted: `{gateways: [g], path: "/users/{id}/x", target: "http://b"}`, Refused: `{gateways: [g], path: "/users/u{id}", target: "http://b"}`, Field: "spec.path", Says: "placeholder"},
		{Name: "a placeholder is a name", Accepted: `{gateways: [g], path: "/{_a1}", target: "http://b"}`, Refused: `{gateways: [g], path: "/{1}", target: "http://b"}`, Field: "spec.path", Says: "placeholder"},
		{Name: "a rewrite has no query", Accepted: with(`rewrite: /v2/`), Refused: with(`rewrite: "/?a"`), Field: "spec.rewrite", Says: "percent-encode"},
		{Name: "a rewrite has no dot segments", Accepted: with(`rewrite: ""`), Refused: with(`rewrite: /..`), Field: "spec.rewrite", Says: "dot segments"},
		{Name: "methods are known, in any case", Accepted: with(`methods: [get, POST, Options]`), Refused: with(`methods: [GET, FETCH]`), Field: "spec.methods[1]"},
		{Name: "a route may be off", Accepted: with(`enabled: false, priority: -3, disableMetrics: true`)},
		{Name: "hosts are hosts", Accepted: with(`hosts: [example.com, "*.example.com", "{tenant}.example.com", "{sub...}.example.com", "*", localhost, "a_b.example.com:8443", 192.0.2.1, "[2001:db8::1]:443", "2001:db8::1"]`), Refused: with(`hosts: [example.com, "http://example.com"]`), Field: "spec.hosts[1]", Says: "must be a host"},
		{Name: "hosts have no wildcard inside", Accepted: with(`hosts: ["*.a.example.com"]`), Refused: with(`hosts: ["a.*.example.com"]`), Field: "spec.hosts[0]", Says: "must be a host"},
		{Name: "a host is not empty", Accepted: with(`hosts: []`), Refused: with(`hosts: [""]`), Field: "spec.hosts[0]"},
		{Name: "a health check has a path", Accepted: with(`healthCheck: {path: /healthz}`), Refused: with(`healthCheck: {interval: 10s}`), Field: "spec.healthCheck.path"},
		{Name: "the path of a health check is not empty", Accepted: with(`healthCheck: {path: /}`), Refused: with(`healthCheck: {path: ""}`), Field: "spec.healthCheck.path"},
		{Name: "the path of a health check is a path", Accepted: with(`healthCheck: {path: "/h?deep=1"}`), Refused: with(`healthCheck: {path: healthz}`), Field: "spec.healthCheck.path", Says: "must be a path"},
		{Name: "a health check has an interval", Accepted: with(`healthCheck: {path: /h, interval: 10s}`), Refused: with(`healthCheck: {path: /h, interval: 0s}`), Field: "spec.healthCheck.interval", Says: "must be a duration"},
		{Name: "a health check has a timeout", Accepted: with(`healthCheck: {path: /h, timeout: 1.5s}`), Refused: with(`healthCheck: {path: /h, timeout: "5"}`), Field: "spec.healthCheck.timeout", Says: "must be a duration"},
		{Name: "healthy statuses are above 99", Accepted: with(`healthCheck: {path: /h, healthyStatuses: [200, 204]}`), Refused: with(`healthCheck: {path: /h, healthyStatuses: [42]}`), Field: "spec.healthCheck.healthyStatuses[0]"},
		{Name: "healthy statuses are below 600", Accepted: with(`healthCheck: {path: /h, healthyStatuses: [599]}`), Refused: with(`healthCheck: {path: /h, healthyStatuses: [600]}`), Field: "spec.healthCheck.healthyStatuses[0]"},
		{Name: "security has defaults", Accepted: with(`security: {enableExploitProtection: true, tls: {insecureSkipVerify: true}}`)},
		{Name: "authorities are in a secret", Accepted: with(`security: {forwardHostHeaders: false, tls: {rootCAsSecret: ca}}`), Refused: with(`security: {tls: {rootCAsSecret: kube-system/ca}}`), Field: "spec.security.tls.rootCAsSecret"},
		{Name: "a client certificate is in a secret", Accepted: with(`security: {tls: {clientCertSecret: c}}`), Refused: with(`security: {tls: {clientCertSecret: ../c}}`), Field: "spec.security.tls.clientCertSecret"},
		{Name: "middlewares have names", Accepted: with(`middlewares: [b, a]`), Refused: with(`middlewares: [""]`), Field: "spec.middlewares[0]"},
		{Name: "tls has a secret", Accepted: with(`tls: {secretName: site-tls}`), Refused: with(`tls: {}`), Field: "spec.tls.secretName"},
		{Name: "the secret of tls is named", Accepted: with(`tls: {secretName: s}`), Refused: with(`tls: {secretName: ""}`), Field: "spec.tls.secretName"},
		{Name: "clients are asked in a known way", Accepted: with(`tls: {secretName: s, clientAuth: {caSecret: ca, mode: optional}}`), Refused: with(`tls: {secretName: s, clientAuth: {caSecret: ca, mode: sometimes}}`), Field: "spec.tls.clientAuth.mode"},
		{Name: "clients are asked for somebody's certificates", Accepted: with(`tls: {secretName: s, clientAuth: {caSecret: ca}}`), Refused: with(`tls: {secretName: s, clientAuth: {}}`), Field: "spec.tls.clientAuth.caSecret"},
		{Name: "the authority of clients is in a secret of the namespace", Accepted: with(`tls: {secretName: s, clientAuth: {caSecret: a.b-c}}`), Refused: with(`tls: {secretName: s, clientAuth: {caSecret: kube-system/ca}}`), Field: "spec.tls.clientAuth.caSecret", Says: "should match"},
		{Name: "the secret of tls is no path", Accepted: with(`tls: {secretName: a.b-c}`), Refused: with(`tls: {secretName: ../../etc}`), Field: "spec.tls.secretName", Says: "should match"},
		{Name: "maintenance is on or off", Accepted: with(`maintenance: {enabled: true, body: '{"down": true}'}`), Refused: with(`maintenance: {status: 503}`), Field: "spec.maintenance.enabled"},
		{Name: "maintenance has a final status", Accepted: with(`maintenance: {enabled: true, status: 200}`), Refused: with(`maintenance: {enabled: true, status: 199}`), Field: "spec.maintenance.status"},
		{Name: "maintenance has a status", Accepted: with(`maintenance: {enabled: false, status: 599}`), Refused: with(`maintenance: {enabled: true, status: 600}`), Field: "spec.maintenance.status"},
	})
}

func backends(list string) string {
	return `{gateways: [g], path: /, backends: [` + list + `]}`
}

func match(fields string) string {
	return backends(`{endpoint: "http://b", match: [{` + fields + `}]}`)
}

const (
	exactlyOne = "set exactly one of target and backends"
	isURL      = "must be an absolute URL"
)

func routeBackends() []Case {
	return of("Route", []Case{
		{Name: "a route has target or backends", Accepted: backends(`{endpoint: "http://b"}`), Refused: `{gateways: [g], path: /}`, Field: "spec", Says: exactlyOne},
		{Name: "a route has not both", Accepted: `{gateways: [g], path: /, target: "http://b", backends: []}`, Refused: `{gateways: [g], path: /, target: "http://b", backends: [{endpoint: "http://c"}]}`, Field: "spec", Says: exactlyOne},
		{Name: "an empty target is none", Accepted: `{gateways: [g], path: /, target: "", backends: [{endpoint: "http://c"}]}`, Refused: `{gateways: [g], path: /, target: "", backends: []}`, Field: "spec", Says: exactlyOne},
		{Name: "a target is an absolute url", Accepted: `{gateways: [g], path: /, target: "http://b.default.svc.cluster.local:8080/"}`, Refused: `{gateways: [g], path: /, target: "b:8080"}`, Field: "spec.target", Says: isURL},
		{Name: "a target has a scheme that is spoken", Accepted: `{gateways: [g], path: /, target: "h2c://b:50051"}`, Refused: `{gateways: [g], path: /, target: "ftp://b"}`, Field: "spec.target", Says: isURL},
		{Name: "a target has a host", Accepted: `{gateways: [g], path: /, target: "https://[2001:db8::1]:8443/base"}`, Refused: `{gateways: [g], path: /, target: "http:///x"}`, Field: "spec.target", Says: isURL},
		{Name: "a target has no query", Accepted: `{gateways: [g], path: /, target: "wss://b"}`, Refused: `{gateways: [g], path: /, target: "http://b/?a=b"}`, Field: "spec.target", Says: isURL},
		{Name: "a backend has an endpoint", Accepted: backends(`{endpoint: "grpc://b"}, {endpoint: "grpcs://b"}`), Refused: backends(`{weight: 1}`), Field: "spec.backends[0].endpoint"},
		{Name: "an endpoint is an absolute url", Accepted: backends(`{endpoint: "ws://b"}`), Refused: backends(`{endpoint: b}`), Field: "spec.backends[0].endpoint", Says: isURL},
		{Name: "an endpoint is not empty", Accepted: backends(`{endpoint: "http://b:80"}`), Refused: backends(`{endpoint: ""}`), Field: "spec.backends[0].endpoint"},
		{Name: "an endpoint holds no credentials", Accepted: backends(`{endpoint: "https://b/base"}`), Refused: backends(`{endpoint: "https://u:p@b"}`), Field: "spec.backends[0].endpoint", Says: isURL},
		{Name: "weights are not negative", Accepted: backends(`{endpoint: "http://b", weight: 0}, {endpoint: "http://c", weight: 80}`), Refused: backends(`{endpoint: "http://b", weight: -1}`), Field: "spec.backends[0].weight"},
		{Name: "an exclusive backend has a match", Accepted: backends(`{endpoint: "http://b", exclusive: false, priority: 2}`), Refused: backends(`{endpoint: "http://b", exclusive: true}`), Field: "spec.backends[0]", Says: "needs match"},
		{Name: "a match has a source", Accepted: match(`source: ip, operator: in, value: "192.0.2.1,192.0.2.2"`), Refused: match(`name: h, operator: equals, value: a`), Field: "spec.backends[0].match[0].source"},
		{Name: "match sources are known", Accepted: match(`source: cookie, name: c, operator: in, value: "a,b"`), Refused: match(`source: body, name: h, operator: equals, value: a`), Field: "spec.backends[0].match[0].source"},
		{Name: "a header match has a name", Accepted: match(`source: header, name: X-Canary, operator: equals, value: "true"`), Refused: match(`source: header, operator: equals, value: a`), Field: "spec.backends[0].match[0]", Says: "name the header"},
		{Name: "a query match has more than an empty name", Accepted: match(`source: query, name: v, operator: equals, value: ""`), Refused: match(`source: query, name: "", operator: equals, value: a`), Field: "spec.backends[0].match[0]", Says: "name the header"},
		{Name: "a match has an operator", Accepted: match(`source: header, name: h, operator: not_equals, value: a`), Refused: match(`source: header, name: h, value: a`), Field: "spec.backends[0].match[0].operator"},
		{Name: "match operators are known", Accepted: match(`source: header, name: h, operator: starts_with, value: a`), Refused: match(`source: header, name: h, operator: like, value: a`), Field: "spec.backends[0].match[0].operator"},
		{Name: "a match has a value", Accepted: match(`source: header, name: h, operator: contains, value: a`), Refused: match(`source: header, name: h, operator: contains`), Field: "spec.backends[0].match[0].value"},
		{Name: "a regular expression compiles", Accepted: match(`source: header, name: h, operator: regex, value: "^v[0-9]+(-beta)?$"`), Refused: match(`source: header, name: h, operator: regex, value: "(?<a"`), Field: "spec.backends[0].match[0]", Says: "value must be an RE2 regular expression"},
		{Name: "other values need not compile", Accepted: match(`source: header, name: h, operator: equals, value: "("`)},
	})
}
