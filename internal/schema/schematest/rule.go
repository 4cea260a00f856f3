// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package schematest

import (
	"slices"
	"strings"
)

// rule holds the values of rules: a good one and a bad one for each key that is
// checked. %s in a rule stands for the value.
func rule() []Case {
	var cases []Case
	for _, v := range slices.Concat(authValues, accessValues, headerValues, trafficValues) {
		spec := func(value string) string {
			return `{type: ` + v.typeName + `, rule: ` + strings.ReplaceAll(v.rule, "%s", value) + `}`
		}
		cases = append(cases, Case{
			Name: v.typeName + " " + v.field + " is not " + v.bad, Field: "spec.rule." + v.field,
			Accepted: spec(v.good), Refused: spec(v.bad),
		})
	}
	cases = append(cases,
		Case{Name: "ldap has a base", Accepted: `{type: ldap, rule: {url: u, baseDN: b}}`, Refused: `{type: ldap, rule: {url: u}}`, Field: "spec.rule.baseDN"},
		Case{Name: "oauth has a secret", Accepted: `{type: oauth, rule: {clientId: a, redirectUrl: "http://a", clientSecretFrom: {secretKeyRef: {name: a, key: b}}}}`, Refused: `{type: oauth, rule: {clientId: a, redirectUrl: "http://a"}}`, Field: "spec.rule.clientSecret"},
		Case{Name: "oauth has a way back", Accepted: `{type: oauth, rule: {clientId: a, clientSecret: 1, redirectUrl: "${URL}"}}`, Refused: `{type: oauth, rule: {clientId: a, clientSecret: b}}`, Field: "spec.rule.redirectUrl"},
		Case{Name: "jwt takes a secret", Accepted: `{type: jwt, rule: {secretFrom: {secretKeyRef: {name: a, key: b}}}}`},
		Case{Name: "jwt takes a public key", Accepted: `{type: jwt, rule: {publicKeyFrom: {secretKeyRef: {name: a, key: b}}}}`},
		Case{Name: "apiKey takes keys in short", Accepted: `{type: apiKey, rule: {keys: [a, {keyFrom: {secretKeyRef: {name: a, key: b}}}]}}`},
		Case{Name: "geoBlock has countries", Accepted: `{type: geoBlock, rule: {action: ALLOW, countries: [de, FR]}}`, Refused: `{type: geoBlock, rule: {action: ALLOW}}`, Field: "spec.rule.countries"},
		Case{Name: "redirectRegex has a replacement", Accepted: `{type: redirectRegex, rule: {pattern: a, replacement: ""}}`, Refused: `{type: redirectRegex, rule: {pattern: a}}`, Field: "spec.rule.replacement"},
		Case{Name: "header values need no quotes", Accepted: `{type: requestHeaders, rule: {setHeaders: {X-A: 1, X-B: true, X-C: "", X-D: text}}}`, Refused: `{type: requestHeaders, rule: {setHeaders: {X-A: [1]}}}`, Field: "spec.rule.setHeaders.X-A"},
		Case{Name: "header values are no objects", Accepted: `{type: responseHeaders, rule: {setHeaders: {X-A: b}}}`, Refused: `{type: responseHeaders, rule: {setHeaders: {X-A: {b: c}}}}`, Field: "spec.rule.setHeaders.X-A"},
	)
	return of("Middleware", append(cases, eitherOr()...))
}

// eitherOr holds, for each value that can be in a Secret, that it is not beside that.
func eitherOr() (cases []Case) {
	const from = `From: {secretKeyRef: {name: a, key: b}}`
	for _, c := range []struct{ typeName, rule, field string }{
		{"basic", `{users: [{username: u, %s}]}`, "users[0].password"},
		{"apiKey", `{keys: [{name: a, %s}]}`, "keys[0].key"},
		{"ldap", `{url: u, baseDN: b, bindDN: c, %s}`, "bindPass"},
		{"jwt", `{%s}`, "secret"},
		{"jwt", `{%s}`, "publicKey"},
		{"oauth", `{clientId: a, redirectUrl: "http://a", %s}`, "clientSecret"},
		{"oauth", `{clientId: a, clientSecret: b, redirectUrl: "http://a", %s}`, "sessionSecret"},
	} {
		name := c.field[strings.LastIndex(c.field, ".")+1:]
		spec := func(fields string) string {
			return `{type: ` + c.typeName + `, rule: ` + strings.ReplaceAll(c.rule, "%s", fields) + `}`
		}
		cases = append(cases, Case{
			Name: c.typeName + " has " + c.field + " or a Secret for it", Field: "spec.rule." + c.field + "From", Says: "one of the two",
			Accepted: spec(name + from), Refused: spec(name + ": x, " + name + from),
		})
	}
	return cases
}

// ruleValue is one key of a rule with a good and a bad value.
type ruleValue struct{ typeName, rule, field, good, bad string }

const (
	basicUser  = `{users: [{username: u, %s}]}`
	secretUser = `{users: [{username: u, passwordFrom: %s}]}`
)

var authValues = []ruleValue{
	{"basic", `{users: %s}`, "users", `["a:b", {username: c, password: 4}]`, `[]`},
	{"basic", `{users: [%s]}`, "users[0].username", `{username: a, password: b}`, `{password: b}`},
	{"basic", basicUser, "users[0].password", `password: p`, `other: p`},
	{"basic", basicUser, "users[0].password", `password: 1`, `password: [1]`},
	{"basic", secretUser, "users[0].passwordFrom.secretKeyRef", `{secretKeyRef: {name: a, key: b}}`, `{}`},
	{"basic", secretUser, "users[0].passwordFrom.secretKeyRef.name", `{secretKeyRef: {name: a, key: b}}`, `{secretKeyRef: {key: b}}`},
	{"basic", secretUser, "users[0].passwordFrom.secretKeyRef.key", `{secretKeyRef: {name: a, key: b}}`, `{secretKeyRef: {name: a}}`},
	{"basic", secretUser, "users[0].passwordFrom.secretKeyRef.name", `{secretKeyRef: {name: a, key: b}}`, `{secretKeyRef: {name: "", key: b}}`},
	{"basic", secretUser, "users[0].passwordFrom.secretKeyRef.key", `{secretKeyRef: {name: a, key: b}}`, `{secretKeyRef: {name: a, key: ""}}`},
	{"basic", `{users: ["a:b"], forwardUsername: %s}`, "forwardUsername", `true`, `"yes"`},
	{"ldap", `{baseDN: b, url: %s}`, "url", `"${LDAP_URL}"`, `""`},
	{"ldap", `{url: u, baseDN: %s}`, "baseDN", `dc=a`, `""`},
	{"ldap", `{url: u, baseDN: b, connPool: {size: %s}}`, "connPool.size", `0`, `-1`},
	{"ldap", `{url: u, baseDN: b, connPool: {burst: %s}}`, "connPool.burst", `10`, `-1`},
	{"ldap", `{url: u, baseDN: b, connPool: {ttl: %s}}`, "connPool.ttl", `1m30s`, `long`},
	{"ldap", `{url: u, baseDN: b, bindPassFrom: %s}`, "bindPassFrom.secretKeyRef", `{secretKeyRef: {name: a, key: b}}`, `{}`},
	{"ldap", `{url: u, baseDN: b, rootCAs: %s}`, "rootCAs", `"${CA}"`, `[a]`},
	{"jwt", `{jwksUrl: %s}`, "jwksUrl", `"https://a/b"`, `/b`},
	{"jwt", `{jwksFile: %s}`, "jwksFile", `/etc/jwks.json`, `""`},
	{"jwt", `{publicKey: %s}`, "publicKey", `"${KEY}"`, `""`},
	{"jwt", `{secret: %s}`, "secret", `text`, `{a: b}`},
	{"jwt", `{secretFrom: %s}`, "secretFrom.secretKeyRef", `{secretKeyRef: {name: a, key: b}}`, `{}`},
	{"jwt", `{secret: s, algorithms: [%s]}`, "algorithms[0]", `HS256`, `""`},
	{"jwt", `{secret: s, forwardHeaders: %s}`, "forwardHeaders", `{X-User-Id: sub}`, `[sub]`},
	{"jwt", `{secret: s, clockSkew: %s}`, "clockSkew", `30s`, `soon`},
	{"jwt", `{jwksUrl: "http://a", rootCAs: %s}`, "rootCAs", `"${CA}"`, `[a]`},
	{"apiKey", `{keys: %s}`, "keys", `[a, 5, {name: b, key: c}]`, `[]`},
	{"apiKey", `{keys: [{name: a, key: %s}]}`, "keys[0].key", `1234`, `[a]`},
	{"apiKey", `{keys: [{name: a, keyFrom: %s}]}`, "keys[0].keyFrom.secretKeyRef", `{secretKeyRef: {name: a, key: b}}`, `{}`},
	{"apiKey", `{keys: [a], headerName: %s}`, "headerName", `X-Key`, `[a]`},
	{"apiKey", `{keys: [a], headerName: Authorization, headerScheme: %s}`, "headerScheme", `Bearer`, `[a]`},
	{"apiKey", `{keys: [a], queryName: %s}`, "queryName", `key`, `[a]`},
	{"apiKey", `{keys: [a], cookieName: %s}`, "cookieName", `key`, `[a]`},
	{"apiKey", `{keys: [a], forwardKey: %s}`, "forwardKey", `true`, `"yes"`},
	{"apiKey", `{keys: [{name: a, key: b}], nameHeader: %s}`, "nameHeader", `X-Consumer`, `[a]`},
	{"oauth", `{clientSecret: s, redirectUrl: "http://a", clientId: %s}`, "clientId", `a`, `""`},
	{"oauth", `{clientSecret: s, clientId: i, redirectUrl: %s}`, "redirectUrl", `"http://a/b"`, `/cb`},
	{"oauth", `{clientSecret: s, clientId: i, redirectUrl: "http://a", provider: %s}`, "provider", `GitHub`, `mine`},
	{"oauth", `{clientSecret: s, clientId: i, redirectUrl: "http://a", scopes: [%s]}`, "scopes[0]", `openid`, `""`},
	{"oauth", `{clientSecret: s, clientId: i, redirectUrl: "http://a", endpoint: {authUrl: %s}}`, "endpoint.authUrl", `"http://a"`, `a`},
	{"oauth", `{clientSecret: s, clientId: i, redirectUrl: "http://a", endpoint: {tokenUrl: %s}}`, "endpoint.tokenUrl", `"http://a"`, `a`},
	{"oauth", `{clientSecret: s, clientId: i, redirectUrl: "http://a", endpoint: {userInfoUrl: %s}}`, "endpoint.userInfoUrl", `"http://a"`, `a`},
	{"oauth", `{clientSecret: s, clientId: i, redirectUrl: "http://a", endpoint: {jwksUrl: %s}}`, "endpoint.jwksUrl", `"http://a"`, `a`},
	{"oauth", `{redirectUrl: "http://a", clientId: i, clientSecretFrom: %s}`, "clientSecretFrom.secretKeyRef", `{secretKeyRef: {name: a, key: b}}`, `{}`},
	{"oauth", `{clientSecret: s, clientId: i, redirectUrl: "http://a", sessionTTL: %s}`, "sessionTTL", `24h`, `long`},
	{"oauth", `{clientSecret: s, clientId: i, redirectUrl: "http://a", sessionSecret: %s}`, "sessionSecret", `text`, `{a: b}`},
	{"oauth", `{clientSecret: s, clientId: i, redirectUrl: "http://a", sessionSecretFrom: %s}`, "sessionSecretFrom.secretKeyRef", `{secretKeyRef: {name: a, key: b}}`, `{}`},
	{"oauth", `{clientSecret: s, clientId: i, redirectUrl: "http://a", forwardHeaders: %s}`, "forwardHeaders", `{X-User-Id: sub}`, `[sub]`},
	{"oauth", `{clientSecret: s, clientId: i, redirectUrl: "http://a", forwardAccessToken: %s}`, "forwardAccessToken", `true`, `1`},
	{"forwardAuth", `{authUrl: "http://a", timeout: %s}`, "timeout", `5`, `soon`},
	{"forwardAuth", `{authUrl: %s}`, "authUrl", `"http://a:1/v"`, `a:1`},
	{"forwardAuth", `{authUrl: "http://a", authSignIn: %s}`, "authSignIn", `"https://a/login?rd="`, `""`},
	{"forwardAuth", `{authUrl: "http://a", authRequestHeaders: [%s]}`, "authRequestHeaders[0]", `X-A`, `""`},
	{"forwardAuth", `{authUrl: "http://a", authResponseHeaders: [%s]}`, "authResponseHeaders[0]", `"X-A: X-B"`, `""`},
	{"forwardAuth", `{authUrl: "http://a", authResponseHeadersAsParams: [%s]}`, "authResponseHeadersAsParams[0]", `X-A`, `""`},
	{"forwardAuth", `{authUrl: "http://a", addAuthCookiesToResponse: [%s]}`, "addAuthCookiesToResponse[0]", `sid`, `""`},
	{"forwardAuth", `{authUrl: "http://a", trustForwardHeader: %s}`, "trustForwardHeader", `true`, `1`},
}

var accessValues = []ruleValue{
	{"access", `{statusCode: %s}`, "statusCode", `404`, `99`},
	{"access", `{statusCode: %s}`, "statusCode", `404`, `600`},
	{"accessPolicy", `{action: %s, sourceRanges: [a]}`, "action", `deny`, `REFUSE`}, // C6
	{"accessPolicy", `{sourceRanges: %s}`, "sourceRanges", `["192.0.2.1-192.0.2.9"]`, `[]`},
	{"accessPolicy", `{sourceRanges: [%s]}`, "sourceRanges[0]", `"::1"`, `""`},
	{"geoBlock", `{action: ALLOW, countries: %s}`, "countries", `[DE]`, `[]`},
	{"geoBlock", `{action: ALLOW, countries: [%s]}`, "countries[0]", `us`, `USA`},
	{"userAgentBlock", `{userAgents: %s}`, "userAgents", `[curl]`, `[]`},
	{"userAgentBlock", `{userAgents: [%s]}`, "userAgents[0]", `curl`, `""`},
	{"addPrefix", `{prefix: %s}`, "prefix", `v2`, `""`},
	{"stripPrefix", `{prefixes: %s}`, "prefixes", `[/api]`, `[]`},
	{"rewriteRegex", `{pattern: %s}`, "pattern", `"^/(.*)$"`, `""`},
	{"stripQuery", `{params: %s}`, "params", `[a]`, `[]`},
	{"stripQuery", `{params: [%s]}`, "params[0]", `a`, `""`},
	{"stripQuery", `{params: [a], methods: [%s]}`, "methods[0]", `GET`, `""`},
	{"redirect", `{url: %s}`, "url", `"https://a/"`, `""`},
	{"redirect", `{url: /a, permanent: %s}`, "permanent", `true`, `301`},
	{"redirectScheme", `{scheme: %s}`, "scheme", `HTTPS`, `ftp`},
	{"redirectScheme", `{scheme: https, port: %s}`, "port", `8443`, `65536`},
	{"redirectScheme", `{scheme: https, port: %s}`, "port", `0`, `-1`},
}

var headerValues = []ruleValue{
	{"requestHeaders", `{removeHeaders: [%s]}`, "removeHeaders[0]", `X-A`, `""`},
	{"responseHeaders", `{setCookies: [%s]}`, "setCookies[0].name", `{name: a, value: b, attributes: {Path: /, MaxAge: 3}}`, `{value: b}`},
	{"responseHeaders", `{setCookies: [{name: %s}]}`, "setCookies[0].name", `a`, `""`},
	{"responseHeaders", `{setCookies: [{name: a, value: %s}]}`, "setCookies[0].value", `1`, `[1]`},
	{"responseHeaders", `{cacheControl: no-store, cacheStatuses: [%s]}`, "cacheStatuses[0]", `200`, `20`},
	{"responseHeaders", `{cacheControl: no-store, cacheStatuses: [%s]}`, "cacheStatuses[0]", `200`, `2000`},
	{"responseHeaders", `{cors: {origins: [%s]}}`, "cors.origins[0]", `"*"`, `""`},
	{"responseHeaders", `{cors: {allowMethods: [%s]}}`, "cors.allowMethods[0]", `OPTIONS`, `""`},
	{"responseHeaders", `{cors: {allowedHeaders: [%s]}}`, "cors.allowedHeaders[0]", `X-A`, `""`},
	{"responseHeaders", `{cors: {exposeHeaders: [%s]}}`, "cors.exposeHeaders[0]", `X-A`, `""`},
	{"responseHeaders", `{cors: {maxAge: %s}}`, "cors.maxAge", `86400`, `86401`},
	{"responseHeaders", `{cors: {maxAge: %s}}`, "cors.maxAge", `0`, `-1`},
	{"responseHeaders", `{cors: {headers: %s}}`, "cors.headers", `{Vary: Origin}`, `Vary`},
	{"errorInterceptor", `{errors: [%s]}`, "errors[0].statusCode", `{code: 404, body: x}`, `{body: x}`},
	{"errorInterceptor", `{errors: [{statusCode: %s}]}`, "errors[0].statusCode", `500`, `42`},
	{"errorInterceptor", `{errors: [{statusCode: %s}]}`, "errors[0].statusCode", `500`, `600`},
	{"errorInterceptor", `{errors: [{status: %s}]}`, "errors[0].status", `500`, `42`},
	{"errorInterceptor", `{errors: [{status: %s}]}`, "errors[0].status", `500`, `600`},
	{"errorInterceptor", `{errors: [{code: %s}]}`, "errors[0].code", `500`, `42`},
	{"errorInterceptor", `{errors: [{code: %s}]}`, "errors[0].code", `500`, `600`},
	{"accessLog", `{headers: [%s]}`, "headers[0]", `X-A`, `""`},
	{"accessLog", `{query: [%s]}`, "query[0]", `q`, `""`},
	{"accessLog", `{cookies: [%s]}`, "cookies[0]", `c`, `""`},
}

var trafficValues = []ruleValue{
	{"rateLimit", `{requestsPerUnit: %s}`, "requestsPerUnit", `100`, `0`},
	{"rateLimit", `{requestsPerUnit: %s}`, "requestsPerUnit", `1`, `many`},
	{"rateLimit", `{requestsPerUnit: 1, unit: %s}`, "unit", `Minute`, `fortnight`},
	{"rateLimit", `{requestsPerUnit: 1, burst: %s}`, "burst", `20`, `-1`},
	{"rateLimit", `{requestsPerUnit: 1, banAfter: %s}`, "banAfter", `3`, `-1`},
	{"rateLimit", `{requestsPerUnit: 1, banDuration: %s}`, "banDuration", `600`, `ten`},
	{"rateLimit", `{requestsPerUnit: 1, keyStrategy: {source: %s}}`, "keyStrategy.source", `header, name: X-Key`, `body`},
	{"rateLimit", `{requestsPerUnit: 1, keyStrategy: {source: %s}}`, "keyStrategy.source", `claim, name: user.id`, `token`},
	{"rateLimit", `{requestsPerUnit: 1, onStoreFailure: %s}`, "onStoreFailure", `Deny`, `shrug`},
	{"circuitBreaker", `{window: %s}`, "window", `30s`, `soon`},
	{"circuitBreaker", `{minRequests: %s}`, "minRequests", `1`, `0`},
	{"circuitBreaker", `{errorPercent: %s}`, "errorPercent", `100`, `101`},
	{"circuitBreaker", `{consecutiveFailures: %s}`, "consecutiveFailures", `0`, `-1`},
	{"circuitBreaker", `{slowAfter: %s}`, "slowAfter", `2s`, `late`},
	{"circuitBreaker", `{openDuration: %s}`, "openDuration", `60`, `long`},
	{"circuitBreaker", `{probes: %s}`, "probes", `1`, `0`},
	{"circuitBreaker", `{failureStatuses: %s}`, "failureStatuses", `500-504`, `5xx`},
	{"circuitBreaker", `{message: %s}`, "message", `resting`, `[a]`},
	{"compress", `{encodings: [%s]}`, "encodings[0]", `GZIP`, `lzw`},
	{"compress", `{level: %s}`, "level", `best`, `"11"`},
	{"compress", `{minSize: %s}`, "minSize", `2KiB`, `lots`},
	{"compress", `{contentTypes: [%s]}`, "contentTypes[0]", `text/*`, `""`},
	{"compress", `{excludedContentTypes: [%s]}`, "excludedContentTypes[0]", `text/csv`, `""`},
	{"retry", `{attempts: %s}`, "attempts", `0`, `11`},
	{"retry", `{perTryTimeout: %s}`, "perTryTimeout", `2s`, `soon`},
	{"retry", `{timeout: %s}`, "timeout", `10`, `late`},
	{"retry", `{retryOn: [%s]}`, "retryOn[0]", `timeout`, `5xx`},
	{"retry", `{retryOn: [%s]}`, "retryOn[0]", `"502-504"`, `"2xx"`},
	{"retry", `{methods: [%s]}`, "methods[0]", `POST`, `""`},
	{"retry", `{backoff: %s}`, "backoff", `25ms`, `short`},
	{"retry", `{maxBackoff: %s}`, "maxBackoff", `1s`, `short`},
	{"retry", `{budgetPercent: %s}`, "budgetPercent", `0`, `101`},
	{"retry", `{maxBodySize: %s}`, "maxBodySize", `64Ki`, `big`},
	{"waf", `{mode: %s}`, "mode", `Detect`, `off`},
	{"waf", `{paranoiaLevel: %s}`, "paranoiaLevel", `4`, `5`},
	{"waf", `{anomalyThreshold: %s}`, "anomalyThreshold", `10`, `0`},
	{"waf", `{bodyLimit: %s}`, "bodyLimit", `2Mi`, `big`},
	{"waf", `{onBodyLimit: %s}`, "onBodyLimit", `partial`, `pass`},
	{"waf", `{exclusions: [{rules: [%s]}]}`, "exclusions[0].rules[0]", `942100`, `sqli`},
	{"waf", `{exclusions: [{tags: [%s]}]}`, "exclusions[0].tags[0]", `attack-sqli`, `""`},
	{"waf", `{exclusions: [{tags: [a], paths: [%s]}]}`, "exclusions[0].paths[0]", `/admin`, `""`},
	{"waf", `{exclusions: [{tags: [a], arguments: [%s]}]}`, "exclusions[0].arguments[0]", `q`, `""`},
	{"inFlightLimit", `{maxRequests: %s}`, "maxRequests", `10`, `-1`},
	{"inFlightLimit", `{maxPerClient: %s}`, "maxPerClient", `10`, `-1`},
	{"inFlightLimit", `{maxPerClient: 1, keyStrategy: {source: %s}}`, "keyStrategy.source", `ip`, `body`},
	{"bodyLimit", `{limit: %s}`, "limit", `1048576`, `big`},
	{"httpCache", `{maxTtl: %s}`, "maxTtl", `0`, `-1`},
	{"httpCache", `{defaultTtl: %s}`, "defaultTtl", `0`, `-1`},
	{"httpCache", `{maxBodySize: %s}`, "maxBodySize", `1Mi`, `lots`},
	{"httpCache", `{onStoreFailure: %s}`, "onStoreFailure", `deny`, `panic`},
	{"httpCache", `{maxStale: %s}`, "maxStale", `0`, `-1`},
	{"httpCache", `{memoryLimit: %s}`, "memoryLimit", `64 MB`, `lots`},
	{"httpCache", `{cacheableStatusCodes: [%s]}`, "cacheableStatusCodes[0]", `200`, `2`},
	{"httpCache", `{cacheableStatusCodes: [%s]}`, "cacheableStatusCodes[0]", `200`, `999`},
	{"httpCache", `{excludedResponseCodes: [%s]}`, "excludedResponseCodes[0]", `"500-599"`, `5xx`},
	{"httpCache", `{queryParamsToCache: [%s]}`, "queryParamsToCache[0]", `q`, `""`},
}
