// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"strings"
	"testing"
)

func TestARouteIsRefusedForWhatCannotServe(t *testing.T) { // C5, C6
	t.Parallel()
	valid := func() *Route { return &Route{Name: "r", Path: "/", Target: "http://b:8080"} }
	for _, c := range []struct {
		name  string
		edit  func(*Route)
		field string
	}{
		{"without a name", func(r *Route) { r.Name = "" }, "name"},
		{"without a path", func(r *Route) { r.Path = "" }, "path"},
		{"with a partial placeholder", func(r *Route) { r.Path = "/files/{name}.json" }, "path"},             // C10
		{"with a regular expression placeholder", func(r *Route) { r.Path = "/x/{id:[0-9]+}" }, "path"},      // C10
		{"with a dot segment in its path", func(r *Route) { r.Path = "/a/../b" }, "path"},                    // P1
		{"with a newline in its path", func(r *Route) { r.Path = "/a\nb" }, "path"},                          // T6
		{"with a dot segment in its rewrite", func(r *Route) { r.Rewrite = "/a/.." }, "rewrite"},             // P3
		{"with an unknown method", func(r *Route) { r.Methods = []string{"GET", "FETCH"} }, "methods[1]"},    //
		{"with an empty method", func(r *Route) { r.Methods = []string{""} }, "methods[0]"},                  //
		{"with an invalid host", func(r *Route) { r.Hosts = []string{"a.b", "a..b"} }, "hosts[1]"},           //
		{"with a wildcard inside a host", func(r *Route) { r.Hosts = []string{"a.*.com"} }, "hosts[0]"},      //
		{"without any backend", func(r *Route) { r.Target = "" }, "target"},                                  //
		{"with a relative target", func(r *Route) { r.Target = "b:8080" }, "target"},                         //
		{"with a file target", func(r *Route) { r.Target = "file:///etc/passwd" }, "target"},                 //
		{"with credentials in its target", func(r *Route) { r.Target = "http://u:hunter2@b" }, "target"},     // C8
		{"with an impossible port", func(r *Route) { r.Target = "http://b:99999" }, "target"},                //
		{"with an empty endpoint", func(r *Route) { r.Backends = []Backend{{}} }, "backends[0].endpoint"},    //
		{"with a negative weight", backend(Backend{Endpoint: "http://b", Weight: -1}), "backends[0].weight"}, // L2
		{"with an exclusive backend without match", backend(Backend{Endpoint: "http://b", Exclusive: true}), "backends[0].exclusive"},
		{"with a match by an unknown source", match(BackendMatch{Source: "body", Name: "x", Operator: "equals"}), "backends[0].match[0].source"},
		{"with a match by an unknown operator", match(BackendMatch{Source: "ip", Operator: "like"}), "backends[0].match[0].operator"},
		{"with a header match without a name", match(BackendMatch{Source: "header", Operator: "equals"}), "backends[0].match[0].name"},
		{"with a match that does not compile", match(BackendMatch{Source: "ip", Operator: "regex", Value: "("}), "backends[0].match[0].value"}, // L2
		{"with a health check without a path", func(r *Route) { r.HealthCheck = &HealthCheck{} }, "healthCheck.path"},
		{"with an impossible healthy status", func(r *Route) { r.HealthCheck = &HealthCheck{Path: "/", HealthyStatuses: []int{200, 42}} }, "healthCheck.healthyStatuses[1]"},
		{"with a client certificate without its key", func(r *Route) { r.Security = &RouteSecurity{TLS: &BackendTLS{ClientCert: "/c"}} }, "security.tls.clientCert"},
		{"with half a certificate", func(r *Route) { r.TLS = &RouteTLS{Certificate: &Certificate{Cert: "/c"}} }, "tls.certificate"},
		{"with clients of no authority", func(r *Route) { r.TLS = &RouteTLS{ClientAuth: &RouteClientAuth{}} }, "tls.clientAuth.clientCA"},
		{"with clients that are asked in no known way", func(r *Route) { r.TLS = &RouteTLS{ClientAuth: &RouteClientAuth{ClientCA: "/c", Mode: "maybe"}} }, "tls.clientAuth.mode"},
		{"with an unknown policy", balancing(LoadBalancing{Policy: "random"}), "loadBalancing.policy"},
		{"with a hash for another policy", balancing(LoadBalancing{Policy: PolicyLeastRequest, HashOn: &HashOn{Source: "ip"}}), "loadBalancing.hashOn"},
		{"with a hash of an unknown source", balancing(LoadBalancing{Policy: PolicyConsistentHash, HashOn: &HashOn{Source: "body", Name: "x"}}), "loadBalancing.hashOn.source"},
		{"with a hash of a header without a name", balancing(LoadBalancing{Policy: PolicyConsistentHash, HashOn: &HashOn{Source: "header"}}), "loadBalancing.hashOn.name"},
		{"with a negative slow start", balancing(LoadBalancing{SlowStart: -1}), "loadBalancing.slowStart"},
		{"with a cookie that has no good name", sticky(StickyCookie{Name: "a;b"}), "loadBalancing.sticky.cookie.name"},
		{"with a cookie that has no good path", sticky(StickyCookie{Path: "/;Domain=evil.org"}), "loadBalancing.sticky.cookie.path"},
		{"with a cookie that has no good domain", sticky(StickyCookie{Domain: "a b"}), "loadBalancing.sticky.cookie.domain"},
		{"with a cookie of negative age", sticky(StickyCookie{MaxAge: -1}), "loadBalancing.sticky.cookie.maxAge"},
		{"with a cookie for unknown sites", sticky(StickyCookie{SameSite: "some"}), "loadBalancing.sticky.cookie.sameSite"},
		{"with a cookie that browsers refuse", sticky(StickyCookie{SameSite: "none"}), "loadBalancing.sticky.cookie.secure"},
		{"with negative errors", outliers(OutlierDetection{ConsecutiveErrors: -1}), "outlierDetection.consecutiveErrors"},
		{"with a negative ejection", outliers(OutlierDetection{BaseEjectionTime: -1}), "outlierDetection.baseEjectionTime"},
		{"with a negative longest ejection", outliers(OutlierDetection{MaxEjectionTime: -1}), "outlierDetection.maxEjectionTime"},
		{"with more ejected than there are", outliers(OutlierDetection{MaxEjectionPercent: new(101)}), "outlierDetection.maxEjectionPercent"}, // L4
		{"with a negative panic", outliers(OutlierDetection{PanicThreshold: new(-1)}), "outlierDetection.panicThreshold"},
		{"with a negative time to connect", func(r *Route) { r.Timeouts = &RouteTimeouts{Connect: -1} }, "timeouts.connect"},
		{"with a negative time for the head", func(r *Route) { r.Timeouts = &RouteTimeouts{ResponseHeader: -1} }, "timeouts.responseHeader"},
		{"with a negative time for pauses", func(r *Route) { r.Timeouts = &RouteTimeouts{Idle: -1} }, "timeouts.idle"},
		{"with a negative time for all", func(r *Route) { r.Timeouts = &RouteTimeouts{Total: -1} }, "timeouts.total"},
		{"with an interim status for maintenance", func(r *Route) { r.Maintenance = &Maintenance{StatusCode: 103} }, "maintenance.statusCode"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := valid()
			c.edit(r)
			problems := ValidateRoute(r)
			if len(problems) != 1 || problems[0].Field != c.field || problems[0].Reason != ReasonInvalid {
				t.Fatalf("want one problem of %s, got %v", c.field, problems)
			}
			if text := problems[0].String(); strings.Contains(text, "hunter2") || !strings.Contains(text, "Route") {
				t.Fatalf("problem is %q", text)
			}
		})
	}
}

func backend(b Backend) func(*Route) { return func(r *Route) { r.Backends = []Backend{b} } }

func match(m BackendMatch) func(*Route) {
	return backend(Backend{Endpoint: "http://b", Match: []BackendMatch{m}})
}

func balancing(b LoadBalancing) func(*Route) { return func(r *Route) { r.LoadBalancing = &b } }

func sticky(c StickyCookie) func(*Route) { return balancing(LoadBalancing{Sticky: &Sticky{Cookie: c}}) }

func outliers(o OutlierDetection) func(*Route) { return func(r *Route) { r.OutlierDetection = &o } }

func TestARouteIsAccepted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		edit func(*Route)
	}{
		{"with placeholders for whole segments", func(r *Route) { r.Path = "/users/{id}/orders/{order}" }},
		{"with an encoded slash", func(r *Route) { r.Path = "/a%2Fb" }},
		{"with methods in any case", func(r *Route) { r.Methods = []string{"get", "Post"} }},
		{"with every form of host", func(r *Route) {
			r.Hosts = []string{"a.example.com", "a.example.com:8443", "*.example.com", "{sub}.example.com", "{sub...}.example.com", "{host...}", "*", "[::1]:8080", "10.0.0.1"}
		}},
		{"with every scheme", func(r *Route) {
			for _, s := range Schemes {
				r.Backends = append(r.Backends, Backend{Endpoint: s + "://b:1/base"})
			}
		}},
		{"with an IPv6 target", func(r *Route) { r.Target = "http://[2001:db8::1]:8080" }}, // U5
		{"with backends beside a target", backend(Backend{Endpoint: "http://b"})},
		{"with the least of everything", func(r *Route) {
			r.LoadBalancing, r.OutlierDetection, r.Timeouts = &LoadBalancing{}, &OutlierDetection{}, &RouteTimeouts{}
		}},
		{"with a hash and a cookie", balancing(LoadBalancing{
			Policy: PolicyConsistentHash, HashOn: &HashOn{Source: "path"}, SlowStart: 1,
			Sticky: &Sticky{Cookie: StickyCookie{Name: "__Host-at", Path: "/shop", Domain: ".example.com", MaxAge: 60, Secure: true, SameSite: "None"}},
		})},
		{"with a match by address", match(BackendMatch{Source: "ip", Operator: "in", Value: "10.0.0.1, 10.0.0.2"})},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := &Route{Name: "r", Path: "/", Target: "http://b:8080"}
			c.edit(r)
			if problems := ValidateRoute(r); len(problems) != 0 {
				t.Fatalf("got %v", problems)
			}
		})
	}
}

func TestAMiddlewareNeedsNameTypeAndUsablePaths(t *testing.T) {
	t.Parallel()
	problems := ValidateMiddleware(&Middleware{Paths: []string{"/a", " "}})
	var fields []string
	for _, p := range problems {
		fields = append(fields, p.Field)
	}
	if got := strings.Join(fields, " "); got != "name type paths[1]" {
		t.Fatalf("got problems of %q", got)
	}
	if problems := ValidateMiddleware(&Middleware{Name: "m", Type: "basic"}); len(problems) != 0 {
		t.Fatalf("got %v", problems)
	}
}
