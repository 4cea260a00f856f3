// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

var (
	matchSources   = []string{"header", "cookie", "query", "ip"}
	matchOperators = []string{"equals", "not_equals", "contains", "not_contains", "starts_with", "ends_with", "regex", "in"}
)

// backends checks where a route sends requests. With both forms given, backends
// are used and target is not, as files have always had it.
func (f *findings) backends(r *Route) {
	if len(r.Backends) == 0 {
		if r.Target == "" {
			f.invalid("target", "a route needs a target or backends")
			return
		}
		f.endpoint("target", r.Target)
		return
	}
	for i, b := range r.Backends {
		at := fmt.Sprintf("backends[%d]", i)
		f.endpoint(at+".endpoint", b.Endpoint)
		if b.Weight < 0 {
			f.invalid(at+".weight", "%d is negative; 0 gets no requests beside weighted backends", b.Weight)
		}
		if b.Exclusive && len(b.Match) == 0 {
			f.invalid(at+".exclusive", "an exclusive backend needs a match, or it would never be chosen")
		}
		for j, m := range b.Match {
			f.match(fmt.Sprintf("%s.match[%d]", at, j), m)
		}
	}
}

func (f *findings) endpoint(field, endpoint string) {
	if endpoint == "" {
		f.invalid(field, "is empty; write it like http://host:8080")
		return
	}
	if _, err := ParseEndpoint(endpoint); err != nil {
		f.invalid(field, "%v", err)
	}
}

// match refuses what could never be evaluated, so that a condition is never
// silently false.
func (f *findings) match(field string, m BackendMatch) {
	f.required(field+".source", m.Source, matchSources)
	f.required(field+".operator", m.Operator, matchOperators)
	if m.Name == "" && !strings.EqualFold(m.Source, "ip") {
		f.invalid(field+".name", "name the %s to compare", m.Source)
	}
	if strings.EqualFold(m.Operator, "regex") {
		if _, err := regexp.Compile(m.Value); err != nil {
			f.invalid(field+".value", "is not an RE2 regular expression: %v", err)
		}
	}
}

func (f *findings) required(field, value string, allowed []string) {
	if value == "" {
		f.invalid(field, "is missing; use one of %s", strings.Join(allowed, ", "))
		return
	}
	f.oneOf(field, value, allowed...)
}

func (f *findings) healthCheck(h *HealthCheck) {
	if h == nil {
		return
	}
	if !strings.HasPrefix(h.Path, "/") || strings.ContainsAny(h.Path, " \t\r\n#") {
		f.invalid("healthCheck.path", "%q is not a path; write it like /healthz", h.Path)
	}
	if h.Interval < 0 {
		f.invalid("healthCheck.interval", "is negative")
	}
	if h.Timeout < 0 {
		f.invalid("healthCheck.timeout", "is negative")
	}
	for i, status := range h.HealthyStatuses {
		if status < http.StatusContinue || status > 599 {
			f.invalid(fmt.Sprintf("healthCheck.healthyStatuses[%d]", i), "%d is not an HTTP status", status)
		}
	}
}

func (f *findings) backendTLS(s *RouteSecurity) {
	if s == nil || s.TLS == nil {
		return
	}
	if (s.TLS.ClientCert == "") != (s.TLS.ClientKey == "") {
		f.invalid("security.tls.clientCert", "a client certificate needs clientCert and clientKey")
	}
}

func (f *findings) routeTLS(t *RouteTLS) {
	if t == nil {
		return
	}
	if t.Certificate != nil {
		f.certificate("tls.certificate", *t.Certificate)
	}
	for i, c := range t.Certificates {
		f.certificate(fmt.Sprintf("tls.certificates[%d]", i), c)
	}
	if c := t.ClientAuth; c != nil {
		f.oneOf("tls.clientAuth.mode", c.Mode, ClientAuthRequired, ClientAuthOptional)
		if c.ClientCA == "" {
			f.invalid("tls.clientAuth.clientCA", "is missing; without an authority no client certificate can be verified")
		}
	}
}

func (f *findings) certificate(field string, c Certificate) {
	if c.Cert == "" || c.Key == "" {
		f.invalid(field, "a certificate needs cert and key")
	}
}
