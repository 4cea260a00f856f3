// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import "strings"

var (
	policies    = []string{PolicyRoundRobin, PolicyLeastRequest, PolicyConsistentHash}
	hashSources = []string{"header", "cookie", "query", "ip", "path"}
	sameSites   = []string{"lax", "strict", "none"}
)

func (f *findings) loadBalancing(b *LoadBalancing) {
	if b == nil {
		return
	}
	f.oneOf("loadBalancing.policy", b.Policy, policies...)
	f.hashOn(b)
	f.duration("loadBalancing.slowStart", b.SlowStart)
	if b.Sticky != nil {
		f.stickyCookie(&b.Sticky.Cookie)
	}
}

func (f *findings) hashOn(b *LoadBalancing) {
	h := b.HashOn
	if h == nil {
		return
	}
	if !strings.EqualFold(b.Policy, PolicyConsistentHash) {
		f.invalid("loadBalancing.hashOn", "is used by the policy consistentHash alone; set loadBalancing.policy")
	}
	f.required("loadBalancing.hashOn.source", h.Source, hashSources)
	if h.Name == "" && !strings.EqualFold(h.Source, "ip") && !strings.EqualFold(h.Source, "path") {
		f.invalid("loadBalancing.hashOn.name", "name the %s to hash", h.Source)
	}
}

func (f *findings) stickyCookie(c *StickyCookie) {
	const at = "loadBalancing.sticky.cookie."
	if strings.ContainsFunc(c.Name, notInToken) {
		f.invalid(at+"name", "%q is not the name of a cookie; use letters, digits, - and _", c.Name)
	}
	if c.Path != "" && (c.Path[0] != '/' || strings.ContainsFunc(c.Path, notInAttribute)) {
		f.invalid(at+"path", "%q is not a path; write it like /shop", c.Path)
	}
	if c.Domain != "" && !validHostname(strings.TrimPrefix(c.Domain, ".")) {
		f.invalid(at+"domain", "%q is not a domain", c.Domain)
	}
	if c.MaxAge < 0 {
		f.invalid(at+"maxAge", "is negative")
	}
	f.oneOf(at+"sameSite", c.SameSite, sameSites...)
	if strings.EqualFold(c.SameSite, "none") && !c.Secure {
		f.invalid(at+"secure", "browsers refuse sameSite none without secure; set it to true")
	}
}

// notInToken tells what no token of HTTP holds (RFC 9110 §5.6.2).
func notInToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
}

// notInAttribute tells what ends an attribute of a cookie (RFC 6265 §4.1.1).
func notInAttribute(r rune) bool { return r < ' ' || r >= 0x7f || r == ';' }

func (f *findings) outlierDetection(o *OutlierDetection) {
	if o == nil {
		return
	}
	const at = "outlierDetection."
	if o.ConsecutiveErrors < 0 {
		f.invalid(at+"consecutiveErrors", "is negative")
	}
	f.duration(at+"baseEjectionTime", o.BaseEjectionTime)
	f.duration(at+"maxEjectionTime", o.MaxEjectionTime)
	f.percent(at+"maxEjectionPercent", o.MaxEjectionPercent)
	f.percent(at+"panicThreshold", o.PanicThreshold)
}

func (f *findings) percent(field string, p *int) {
	if p != nil && (*p < 0 || *p > 100) {
		f.invalid(field, "%d is not a percentage; use 0 to 100", *p)
	}
}

func (f *findings) routeTimeouts(t *RouteTimeouts) {
	if t == nil {
		return
	}
	f.duration("timeouts.connect", t.Connect)
	f.duration("timeouts.responseHeader", t.ResponseHeader)
	f.duration("timeouts.idle", t.Idle)
	f.duration("timeouts.total", t.Total)
}

func (f *findings) duration(field string, d Duration) {
	if d < 0 {
		f.invalid(field, "is negative")
	}
}
