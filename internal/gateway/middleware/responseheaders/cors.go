// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package responseheaders

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

// CORS is a policy for pages of other origins.
type CORS struct {
	// Enabled puts the policy into effect; false by default.
	Enabled bool `json:"enabled"`
	// Origins are those that may read answers: scheme://host[:port],
	// scheme://*.domain for all subdomains, or * alone for everybody, which is
	// the default.
	Origins []string `json:"origins"`
	// AllowMethods are the methods that a page may use; without a list the one
	// that it asks for.
	AllowMethods []string `json:"allowMethods"`
	// AllowedHeaders are the headers that a page may send; without a list those
	// that it asks for.
	AllowedHeaders []string `json:"allowedHeaders"`
	// ExposeHeaders are the headers of an answer that a page may read.
	ExposeHeaders []string `json:"exposeHeaders"`
	// MaxAge is how many seconds a browser may remember a preflight, at most
	// 86400; 0 leaves that to the browser.
	MaxAge int `json:"maxAge"`
	// AllowCredentials lets pages send cookies; not with the origin *.
	AllowCredentials bool `json:"allowCredentials"`
	// Headers are set beside these. Deprecated: use setHeaders.
	Headers map[string]definition.Text `json:"headers"`
}

const longestMaxAge = 86400

// policy is a compiled CORS. A nil one does nothing.
type policy struct {
	any         bool
	exact       map[string]bool
	suffixes    []suffix
	methods     string
	headers     string
	expose      string
	maxAge      string
	credentials bool
	extra       []header
}

// suffix is scheme://*.domain.
type suffix struct{ scheme, domain string }

func compileCORS(c *CORS) (*policy, []config.Problem) {
	if c == nil {
		return nil, nil
	}
	var problems []config.Problem
	invalid := func(wrong bool, field, format string, args ...any) {
		if wrong {
			problems = append(problems, definition.Invalid("cors."+field, format, args...))
		}
	}
	p := &policy{exact: map[string]bool{}, credentials: c.AllowCredentials, any: len(c.Origins) == 0}
	for i, origin := range c.Origins {
		if origin == "*" {
			p.any = true
			invalid(len(c.Origins) > 1, fmt.Sprintf("origins[%d]", i), "* must stand alone")
			continue
		}
		err := p.admit(origin)
		invalid(err != nil, fmt.Sprintf("origins[%d]", i), "%v", err)
	}
	invalid(p.any && c.AllowCredentials, "allowCredentials", "cannot be used with every origin: list the origins")
	invalid(c.MaxAge < 0 || c.MaxAge > longestMaxAge, "maxAge", "must be 0 to %d seconds", longestMaxAge)
	for i, name := range c.AllowMethods {
		invalid(!httpguts.ValidHeaderFieldName(name), fmt.Sprintf("allowMethods[%d]", i), "%q is not a method", name)
	}
	for _, list := range []struct {
		field string
		names []string
	}{{"allowedHeaders", c.AllowedHeaders}, {"exposeHeaders", c.ExposeHeaders}} {
		for i, name := range list.names {
			field := fmt.Sprintf("%s[%d]", list.field, i)
			invalid(!httpguts.ValidHeaderFieldName(name), field, "%q is not a header name", name)
			invalid(name == "*" && c.AllowCredentials, field, "* means nothing to browsers where credentials are allowed: list the headers")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		problems = append(problems, checkHeader("cors.headers."+name, name, string(c.Headers[name]))...)
		p.extra = append(p.extra, newHeader(name, string(c.Headers[name])))
	}
	if config.HasErrors(problems) || !c.Enabled {
		return nil, problems
	}
	p.methods, p.headers, p.expose = list(upper(c.AllowMethods)), list(c.AllowedHeaders), list(c.ExposeHeaders)
	if c.MaxAge > 0 {
		p.maxAge = strconv.Itoa(c.MaxAge)
	}
	return p, problems
}

func list(names []string) string { return strings.Join(names, ", ") }

func upper(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = strings.ToUpper(name)
	}
	return out
}

// admit adds one origin.
func (p *policy) admit(origin string) error {
	scheme, host, ok := strings.Cut(strings.ToLower(origin), "://")
	if domain, wild := strings.CutPrefix(host, "*."); ok && wild {
		if u, err := url.Parse(scheme + "://" + domain); err != nil || u.Host != domain || u.Hostname() == "" || strings.Contains(domain, "*") {
			return fmt.Errorf("%q is not an origin; write it like https://*.example.com", origin)
		}
		p.suffixes = append(p.suffixes, suffix{scheme, "." + domain})
		return nil
	}
	u, err := url.Parse(strings.ToLower(origin))
	if !ok || err != nil || u.Scheme == "" || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.User != nil || strings.Contains(origin, "*") {
		return fmt.Errorf("%q is not an origin; write it like https://app.example.com, without a path", origin)
	}
	if p.exact[u.Scheme+"://"+u.Host] {
		return fmt.Errorf("%q is listed twice", origin)
	}
	p.exact[u.Scheme+"://"+u.Host] = true
	return nil
}

// allows compares whole origins: no part of one is looked for in another. M27
func (p *policy) allows(origin string) bool {
	if origin == "" {
		return false
	}
	if p.any {
		return true
	}
	origin = strings.ToLower(origin)
	if p.exact[origin] {
		return true
	}
	scheme, host, _ := strings.Cut(origin, "://")
	for _, s := range p.suffixes {
		sub, ok := strings.CutSuffix(host, s.domain)
		if ok && scheme == s.scheme && sub != "" && !strings.ContainsAny(sub, "/:@") {
			return true
		}
	}
	return false
}

// answers tells requests that end here: preflights, and other OPTIONS requests of
// pages that are allowed.
func (p *policy) answers(r *http.Request, origin string) bool {
	if p == nil || r.Method != http.MethodOptions || origin == "" {
		return false
	}
	return r.Header.Get("Access-Control-Request-Method") != "" || p.allows(origin)
}

// preflight answers before authentication and the method check, and without
// asking the backend. An origin that is not allowed gets no permission, which is
// all a browser needs to know. What every answer gets is added on its way out.
func (p *policy) preflight(w http.ResponseWriter, r *http.Request, origin string) {
	exchange.Of(r).Reason = "cors_preflight"
	h := w.Header()
	if p.allows(origin) {
		set(h, "Access-Control-Allow-Methods", or(p.methods, token(r.Header.Get("Access-Control-Request-Method"))))
		set(h, "Access-Control-Allow-Headers", or(p.headers, tokens(r.Header.Get("Access-Control-Request-Headers"))))
		set(h, "Access-Control-Max-Age", p.maxAge)
	}
	vary(h, "Access-Control-Request-Method", "Access-Control-Request-Headers")
	w.WriteHeader(http.StatusNoContent)
}

// apply puts the policy in place of what the backend may have said.
func (p *policy) apply(h http.Header, origin string) {
	if p == nil {
		return
	}
	for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers"} {
		delete(h, name)
	}
	if !p.any {
		vary(h, "Origin")
	}
	if !p.allows(origin) {
		return
	}
	allowed := origin
	if p.any {
		allowed = "*"
	}
	h["Access-Control-Allow-Origin"] = []string{allowed}
	if p.credentials {
		h["Access-Control-Allow-Credentials"] = []string{"true"}
	}
	set(h, "Access-Control-Expose-Headers", p.expose)
	for _, x := range p.extra {
		x.apply(h)
	}
}

func set(h http.Header, name, value string) {
	if value != "" {
		h[name] = []string{value}
	}
}

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

// token gives back what is one, and nothing else that a client sent.
func token(s string) string {
	if httpguts.ValidHeaderFieldName(s) {
		return s
	}
	return ""
}

func tokens(s string) string {
	var out []string
	for name := range strings.SplitSeq(s, ",") {
		if name = token(strings.TrimSpace(name)); name != "" {
			out = append(out, name)
		}
	}
	return list(out)
}

// vary adds names that are not there.
func vary(h http.Header, names ...string) {
	for _, name := range names {
		if !httpguts.HeaderValuesContainsToken(h["Vary"], name) && !httpguts.HeaderValuesContainsToken(h["Vary"], "*") {
			h["Vary"] = append(slices.Clip(h["Vary"]), name)
		}
	}
}
