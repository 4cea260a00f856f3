// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build examples

package examples

import (
	"net/http"
	"strings"
	"testing"
)

// request is what is sent, and what must come of it.
type request struct {
	// route is the Route that the request is about; empty for the gateway itself.
	route  string
	method string // GET
	host   string // any
	path   string
	tls    bool
	user   string // name:password
	header map[string]string
	body   string

	want int
	// saw are headers of the answer: what the backend has seen, or what the
	// gateway adds. An empty value is a header that must not be there.
	saw map[string]string
	// contains is a part of the body, certificate a name of the certificate.
	contains, certificate string
}

const (
	admin      = "admin:secret"
	prometheus = "prometheus:secret"
	page       = "/some/page?q=1"
)

// cases are the requests of each example. Every Route must have one.
var cases = map[string][]request{
	"01-gateway-minimal.yaml":               nothingServed,
	"02-gateway-loadbalancer.yaml":          append([]request{{path: "/metrics", want: 200, contains: "gateway_"}}, nothingServed...),
	"03-gateway-nodeport.yaml":              nothingServed,
	"04-gateway-autoscaling.yaml":           nothingServed,
	"05-gateway-acme-http01.yaml":           nothingServed,
	"06-gateway-acme-dns01-cloudflare.yaml": nothingServed,
	"54-gateway-acme-private-ca.yaml":       nothingServed,
	"07-gateway-redis-metrics.yaml": {
		{path: "/metrics", want: 404},
		{path: "/metrics", host: "metrics.internal.example.com", want: 401},
		{path: "/metrics", host: "metrics.internal.example.com", user: prometheus, want: 200, contains: "gateway_"},
		{path: "/healthz", want: 200},
	},
	"08-route-basic.yaml": {
		{route: "api", host: "api.example.com", path: page, want: 200, saw: map[string]string{sawPath: page, sawHost: "api.example.com"}},
		{route: "api", host: "api.example.com", path: "/", method: "POST", body: "x", want: 200},
		{route: "api", host: "api.example.com", path: "/", method: "PATCH", want: 405, saw: map[string]string{"Allow": "DELETE, GET, HEAD, POST, PUT"}},
		{host: "other.example.com", path: "/", want: 404},
	},
	"09-route-load-balanced.yaml": {
		{route: "api", path: "/api/users", want: 200, saw: map[string]string{sawPath: "/users"}},
		{route: "api", path: "/api", header: map[string]string{"X-Canary": "true"}, want: 200, saw: map[string]string{sawBackend: "api-canary.default.svc.cluster.local"}},
		{route: "api", path: "/api/?q=%3Cscript%3Ealert(1)%3C/script%3E", want: 403},
		{path: "/apiary", want: 404},
	},
	// The collector is not there, which nobody notices.
	"52-gateway-tracing.yaml": {
		{route: "shop", path: "/shop", want: 200, saw: map[string]string{sawPrefix + "Tracestate": ""}},
		{path: "/metrics", want: 200, contains: "gateway_trace_spans_dropped_total"},
	},
	"10-route-maintenance.yaml": {{route: "shop", path: "/shop/cart", want: 503, contains: "down for maintenance"}},
	"11-middleware-basic-auth.yaml": {
		{route: "site", path: page, want: 200},
		{route: "site", path: "/admin", want: 401, saw: map[string]string{"Www-Authenticate": `Basic realm="Admin"`}},
		{route: "site", path: "/admin/x", want: 401},
		{route: "site", path: "/admin", user: "admin:wrong", want: 401},
		{route: "site", path: "/admin", user: admin, want: 200},
	},
	"12-middleware-rate-limit.yaml": {{route: "api", path: "/api", want: 200}},
	"13-middleware-jwt.yaml":        {{route: "api", path: "/api", want: 401, saw: map[string]string{"Www-Authenticate": "Bearer"}}},
	// The service that is asked is not there.
	"14-middleware-forward-auth.yaml": {{route: "dashboard", host: "dashboard.example.com", path: "/", want: 500}},
	"15-full-stack.yaml": {
		{route: "private", host: "api.example.com", path: "/private", want: 401},
		{route: "public", host: "api.example.com", path: "/", want: 200, saw: map[string]string{sawBackend: "public.default.svc.cluster.local"}},
		{route: "www", host: "www.example.com", path: "/", want: 404}, // of another Gateway
	},
	"16-gateway-tls-secrets.yaml": {
		{route: "site", host: "example.com", path: "/", tls: true, want: 200, certificate: "example-com-tls.example.com"},
		{route: "site", host: "www.example.com", path: "/", want: 200},
	},
	"17-gateway-replicas.yaml":  nothingServed,
	"18-gateway-providers.yaml": nothingServed,
	"19-gateway-static-routes.yaml": {
		{route: "site", path: page, want: 200, saw: map[string]string{sawPrefix + "X-Edge": "goma", sawPath: page}},
	},
	"20-gateway-samples.yaml": append([]request{{path: "/metrics", want: 200}}, nothingServed...),
	"21-route-canary.yaml": {
		{route: "canary", path: "/?beta=yes", header: map[string]string{"X-Beta": "1", "Cookie": "tier=gold"}, want: 200, saw: map[string]string{sawBackend: "app-v2.default.svc.cluster.local"}},
		{route: "canary", path: "/?beta=yes", header: map[string]string{"X-Beta": "1", "Cookie": "tier=tin"}, want: 200, saw: map[string]string{sawBackend: "app-v1.default.svc.cluster.local"}},
		{route: "canary", path: "/", want: 200, saw: map[string]string{sawBackend: "app-v1.default.svc.cluster.local"}},
	},
	"22-route-tls.yaml": {
		{route: "shop", host: "shop.example.com", path: "/x", tls: true, want: 200, certificate: "shop.example.com", saw: map[string]string{sawBackend: "shop.default.svc.cluster.local"}},
		{route: "shop-api", host: "shop.example.com", path: "/api/x", tls: true, want: 200, certificate: "shop.example.com", saw: map[string]string{sawBackend: "shop-api.default.svc.cluster.local"}},
	},
	"55-route-client-certificates.yaml": {
		{route: "site", host: "bank.example.com", path: "/x", tls: true, want: 200, certificate: "bank.example.com"},
		{route: "accounts", host: "bank.example.com", path: "/accounts/x", tls: true, want: 403},
		{route: "accounts", host: "bank.example.com", path: "/accounts/x", want: 403},
	},
	"23-route-backend-tls.yaml": {
		{route: "private", path: page, want: 200, saw: map[string]string{sawClient: "backend-client.example.com", sawHost: "backend.default.svc.cluster.local:8443"}},
	},
	"24-middleware-chain.yaml": {
		{route: "site", host: "site.example.com", path: page, want: 301, saw: map[string]string{"Location": "https://site.example.com" + page}},
		{route: "site", path: page, tls: true, want: 200, saw: map[string]string{"X-Frame-Options": "DENY", "Strict-Transport-Security": "max-age=31536000"}},
		{route: "site", path: "/", tls: true, header: map[string]string{"Origin": "https://shop.example.com"}, want: 200,
			saw: map[string]string{"Access-Control-Allow-Origin": "https://shop.example.com", "Access-Control-Allow-Credentials": "true"}},
		{route: "site", path: "/", tls: true, header: map[string]string{"Origin": "https://evil.org"}, want: 200, saw: map[string]string{"Access-Control-Allow-Origin": ""}},
	},
	"25-middleware-access-policy.yaml": {{route: "internal", path: "/internal", want: 200}, {path: "/", want: 404}},
	"26-middleware-add-prefix.yaml": {
		{route: "api", path: page, header: map[string]string{"X-Debug": "1"}, want: 200,
			saw: map[string]string{sawPath: "/v2" + page, sawPrefix + "X-Gateway": "goma", sawPrefix + "X-Debug": ""}},
	},
	"27-two-gateways.yaml": {{route: "shared", path: page, want: 200}},
	"28-any-order.yaml": {
		{route: "site", path: page, want: 200},
		{route: "site", path: "/admin/x", want: 401},
		{route: "site", path: "/admin", user: admin, want: 200},
	},
	"29-backend-shares.yaml":   {{route: "even", host: "www.example.com", path: page, want: 200}, {path: "/", want: 404}},
	"50-gateway-pods.yaml":     {{route: "site", path: page, want: 200}},
	"30-gateway-timeouts.yaml": {{route: "site", path: page, want: 200}},
	"44-route-load-balancing.yaml": {
		{route: "carts", path: "/carts", header: map[string]string{"X-User": "ada"}, want: 200},
		{route: "shop", path: "/shop/1", want: 200},
		// The word of the first backend; no cookie is set, since there is one.
		{route: "shop", path: "/shop/1", header: map[string]string{"Cookie": "shop-backend=223ab59d1742ff8b"}, want: 200,
			saw: map[string]string{sawBackend: "shop-a.default.svc.cluster.local", "Set-Cookie": ""}},
	},
	"40-middleware-waf.yaml": {
		{route: "site", path: page, want: 200},
		{route: "site", path: "/?q=%3Cscript%3Ealert(1)%3C/script%3E", want: 403},
		{route: "site", path: "/?statement=1+union+select+password+from+users", want: 403},
		{route: "site", path: "/console?statement=1+union+select+password+from+users", want: 200},
		{route: "site", path: "/console?other=1+union+select+password+from+users", want: 403},
	},
	"41-middleware-circuit-breaker.yaml": {{route: "site", path: page, want: 200}},
	"42-middleware-geo-block.yaml":       {{route: "site", path: page, header: map[string]string{"X-Country": "SE"}, want: 200, saw: map[string]string{sawPrefix + "X-Country": ""}}},
	"31-middleware-ldap.yaml":            {{route: "wiki", host: "wiki.example.com", path: page, want: 401, saw: map[string]string{"Www-Authenticate": `Basic realm="Staff"`}}},
	"32-middleware-oauth.yaml": {
		{route: "shop", host: "shop.example.com", path: "/cart", method: "POST", body: "x", want: 401},
		{route: "shop", host: "shop.example.com", path: "/oauth2/callback?state=x&code=y", want: 400},
	},
	"33-middleware-api-key.yaml": {
		{route: "api", path: page, want: 200},
		{route: "api", path: "/partners/orders", want: 401, saw: map[string]string{"Www-Authenticate": "ApiKey"}},
		{route: "api", path: "/partners/orders", header: map[string]string{"X-API-Key": "blue-3f9c1d7e5a2b8c4d6e0f1a2b3c4d5e6f", "X_Partner": "green"}, want: 200,
			saw: map[string]string{sawPrefix + "X-Partner": "blue", sawPrefix + "X-Api-Key": "", sawPrefix + "X_Partner": ""}},
	},
	"34-middleware-rewrite.yaml": {
		{route: "shop", path: "/shop/v1/users?q=%2f", header: map[string]string{"X-Tenant": "blue"}, want: 200, saw: map[string]string{sawPath: "/tenants/blue/users?q=%2f"}},
		{route: "shop", path: "/shop/v1/users", header: map[string]string{"X-Tenant": "a/b"}, want: 200, saw: map[string]string{sawPath: "/tenants/a%2Fb/users"}},
		{route: "shop", path: "/shop/v1/users", header: map[string]string{"X-Tenant": ".."}, want: 400},
		{route: "shop", path: "/shop/other", want: 200, saw: map[string]string{sawPath: "/other"}},
	},
	"53-middleware-secrets.yaml": {
		{route: "site", path: page, want: 200},
		{route: "site", path: "/admin", want: 401},
		{route: "site", path: "/admin", user: "ann:ann's password", want: 200},
		{route: "site", path: "/admin", user: "bob:bob's password", want: 200},
		{route: "site", path: "/admin", user: "bob:ann's password", want: 401},
		{route: "site", path: "/partners", want: 401},
		{route: "site", path: "/partners", header: map[string]string{"X-API-Key": "blue-3f9c1d7e5a2b8c4d6e0f1a2b3c4d5e6f"}, want: 200},
	},
	"35-middleware-in-flight-limit.yaml": {{route: "office", path: "/reports/1", want: 200}},
	"36-middleware-error-interceptor.yaml": {
		{route: "shop", path: "/shop/cart", want: 200},
		{route: "shop", path: "/shop/cart", method: "PUT", want: 405, contains: "This page cannot be changed.", saw: map[string]string{"Allow": "GET, HEAD"}},
		{route: "shop", path: "/shop/cart", header: map[string]string{askStatus: "503", askLength: "9"}, want: 503, contains: "<h1>We will be back soon</h1>",
			saw: map[string]string{"Content-Type": "text/html; charset=utf-8"}},
		{route: "shop", path: "/shop/cart", header: map[string]string{askStatus: "503", "Accept": "application/json"}, want: 503, contains: `"statusCode":503`},
		{route: "shop", path: "/shop/cart", header: map[string]string{askStatus: "500", askLength: "9"}, want: 500, contains: "xxxxxxxxx"},
	},
	"37-middleware-access-log.yaml": {{route: "api", path: "/api", want: 200}},
	"39-middleware-retry.yaml": {
		{route: "shop", path: "/shop/a", header: map[string]string{askFailures: "1"}, want: 200},
		{route: "shop", path: "/shop/b", method: "POST", body: "x", header: map[string]string{askFailures: "99"}, want: 503},
		{route: "shop", path: "/shop/c", method: "PUT", body: "x", header: map[string]string{askFailures: "1"}, want: 200},
		{route: "shop", path: "/shop/d", header: map[string]string{askStatus: "503"}, want: 503},
	},
	"38-middleware-compress.yaml": {
		{route: "site", path: page, header: map[string]string{"Accept-Encoding": "gzip", askLength: "512"}, want: 200, saw: map[string]string{"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}},
		{route: "site", path: page, header: map[string]string{"Accept-Encoding": "gzip, zstd", askLength: "9000"}, want: 200, saw: map[string]string{"Content-Encoding": "zstd"}},
		{route: "site", path: page, header: map[string]string{"Accept-Encoding": "gzip", askLength: "511"}, want: 200, saw: map[string]string{"Content-Encoding": ""}},
		{route: "site", path: page, header: map[string]string{"Accept-Encoding": "identity", askLength: "512"}, want: 200, saw: map[string]string{"Content-Encoding": "", "Vary": "Accept-Encoding"}},
	},
	"43-middleware-http-cache.yaml": {
		{route: "shop", path: "/catalogue?page=1", method: "POST", body: "x", want: 200},
		{route: "shop", path: "/catalogue?page=2", method: "POST", body: "x", want: 200},
		{route: "shop", path: "/catalogue?page=1", want: 200, saw: map[string]string{"X-Cache-Status": "MISS", "Cache-Control": "public, max-age=60"}},
		{route: "shop", path: "/catalogue?utm_source=x&page=1", want: 200, saw: map[string]string{"X-Cache-Status": "HIT", sawPath: "/catalogue?page=1"}},
		{route: "shop", path: "/catalogue?page=2", want: 200, saw: map[string]string{"X-Cache-Status": "MISS"}},
		{route: "shop", path: "/catalogue?page=1", header: map[string]string{"Cookie": "session=1"}, want: 200, saw: map[string]string{"X-Cache-Status": "MISS"}},
		{route: "shop", path: "/catalogue?page=1", method: "POST", body: "x", want: 200},
		{route: "shop", path: "/catalogue?page=1", want: 200, saw: map[string]string{"X-Cache-Status": "MISS"}},
		{route: "shop", path: "/cart", want: 200, saw: map[string]string{"X-Cache-Status": ""}},
	},
}

// nothingServed is for a Gateway without Routes.
var nothingServed = []request{
	{path: "/", want: 404},
	{path: "/healthz", want: 200, contains: "running"},
	{path: "/readyz", want: 200, contains: "running"},
}

// unsupported are the examples that this build accepts and cannot serve whole.
// `goma check` says so.
var unsupported = map[string]bool{}

// special are demands beyond single requests.
var special = map[string]func(*testing.T, *process){
	"09-route-load-balanced.yaml": func(t *testing.T, p *process) {
		counts := spread(p, request{path: "/api"}, 100)
		stable, next := counts["api-stable.default.svc.cluster.local"], counts["api-next.default.svc.cluster.local"]
		if stable != 80 || next != 20 {
			t.Errorf("of 100 requests: %v, want 80 to 20 and none for the canary", counts)
		}
	},
	"12-middleware-rate-limit.yaml": func(t *testing.T, p *process) {
		for range 10_000 {
			if a := p.send(request{path: "/api"}); a.status == http.StatusTooManyRequests {
				return
			}
		}
		t.Error("nothing is limited")
	},
	"37-middleware-access-log.yaml": func(_ *testing.T, p *process) {
		p.send(request{path: "/api?page=7&token=hush", header: map[string]string{"X-Tenant": "blue", "Cookie": "theme=dark"}})
		for _, field := range []string{"x-tenant", "blue", "page", "7", "theme", "dark", "token", "***"} {
			p.Until("a line with "+field, func() bool { return strings.Contains(p.String(), field) })
		}
	},
	"44-route-load-balancing.yaml": func(t *testing.T, p *process) {
		if counts := spread(p, request{path: "/carts", header: map[string]string{"X-User": "ada"}}, 10); len(counts) != 1 {
			t.Errorf("one user went to %v", counts)
		}
		first := p.send(request{path: "/shop"})
		cookie, _, _ := strings.Cut(first.header.Get("Set-Cookie"), ";")
		if !strings.HasPrefix(cookie, "shop-backend=") {
			t.Fatalf("the first answer has the cookie %q", cookie)
		}
		counts := spread(p, request{path: "/shop", header: map[string]string{"Cookie": cookie}}, 10)
		if counts[first.header.Get(sawBackend)] != 10 {
			t.Errorf("a client that was at %s went to %v", first.header.Get(sawBackend), counts)
		}
	},
	"29-backend-shares.yaml": func(t *testing.T, p *process) {
		counts := spread(p, request{host: "example.com", path: "/"}, 20)
		if counts["a.default.svc.cluster.local"] != 10 || counts["b.default.svc.cluster.local"] != 10 {
			t.Errorf("of 20 requests: %v, want equal shares", counts)
		}
	},
}

// spread counts which backends answer.
func spread(p *process, r request, n int) map[string]int {
	counts := map[string]int{}
	for range n {
		counts[p.send(r).header.Get(sawBackend)]++
	}
	return counts
}

// check compares an answer with what is wanted of it.
func (r request) check(a answer) (wrong []string) {
	if a.problem != nil {
		return []string{a.problem.Error()}
	}
	if a.status != r.want {
		wrong = append(wrong, http.StatusText(a.status)+" instead of "+http.StatusText(r.want)+": "+a.body)
	}
	for k, want := range r.saw {
		if have := a.header.Get(k); have != want {
			wrong = append(wrong, k+" is "+have+" instead of "+want)
		}
	}
	if !strings.Contains(a.body, r.contains) {
		wrong = append(wrong, "the body is "+a.body)
	}
	if r.certificate != "" && (len(a.names) == 0 || a.names[0] != r.certificate) {
		wrong = append(wrong, "the certificate is for "+strings.Join(a.names, ", "))
	}
	return wrong
}
