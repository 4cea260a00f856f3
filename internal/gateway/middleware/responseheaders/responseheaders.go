// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package responseheaders edits the headers that the client sees: it sets and
// removes headers, sets cookies and caching rules, and answers for the route in
// matters of CORS (Fetch standard, §3.2).
//
// It acts on every final status, that of an answer by the gateway itself
// included: a browser shows a page the reason of a 401 or a 429 only if that
// answer has the CORS headers too.
package responseheaders

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/scope"
)

// Type is responseHeaders.
var Type = definition.Type{Names: []string{"responseHeaders"}, Phase: definition.Outer, Scoped: true, Parse: parse}

// Settings is the rule of a responseHeaders middleware. At least one of its parts
// must be given.
type Settings struct {
	// SetHeaders gives headers their value; an empty value removes the header.
	// {route.name}, {route.path}, {route.target} and {gateway.version} stand for
	// what they say.
	SetHeaders map[string]definition.Text `json:"setHeaders"`
	// SetCookies are sent with every answer.
	SetCookies []Cookie `json:"setCookies"`
	// CacheControl replaces the header of this name.
	CacheControl string `json:"cacheControl"`
	// CacheStatuses limits CacheControl to these statuses; empty is all.
	CacheStatuses []int `json:"cacheStatuses"`
	// CORS says which pages of other origins may read the answers.
	CORS *CORS `json:"cors"`
}

// framing headers belong to the connection and not to the answer.
var framing = []string{"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	if len(s.SetHeaders)+len(s.SetCookies) == 0 && s.CacheControl == "" && s.CORS == nil {
		return nil, append(problems, definition.Invalid("", "needs one of setHeaders, setCookies, cacheControl and cors"))
	}
	for _, name := range slices.Sorted(maps.Keys(s.SetHeaders)) {
		problems = append(problems, checkHeader("setHeaders."+name, name, string(s.SetHeaders[name]))...)
	}
	problems = append(problems, checkHeader("cacheControl", "Cache-Control", s.CacheControl)...)
	for i, status := range s.CacheStatuses {
		if status < 200 || status > 599 {
			problems = append(problems, definition.Invalid(fmt.Sprintf("cacheStatuses[%d]", i), "%d is not a final HTTP status", status))
		}
	}
	cookies, found := compileCookies(s.SetCookies)
	policy, wrong := compileCORS(s.CORS)
	problems = append(append(problems, found...), wrong...)
	if config.HasErrors(problems) {
		return nil, problems
	}
	return &rule{settings: s, cookies: cookies, policy: policy}, problems
}

func checkHeader(field, name, value string) []config.Problem {
	canonical := http.CanonicalHeaderKey(name)
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return []config.Problem{definition.Invalid(field, "%q is not a header name", name)}
	case slices.Contains(framing, canonical):
		return []config.Problem{definition.Invalid(field, "%s belongs to the connection and cannot be edited", canonical)}
	case !httpguts.ValidHeaderFieldValue(value):
		return []config.Problem{definition.Invalid(field, "holds a line break or another control character")}
	}
	return nil
}

type rule struct {
	settings Settings
	cookies  []string
	policy   *policy
}

// Handler implements definition.Rule.
func (e *rule) Handler(b definition.Build, next http.Handler) (http.Handler, error) {
	covered, err := scope.Compile(b.Paths, b.Route.Path)
	if err != nil {
		return nil, err
	}
	edit := &edit{
		cookies: e.cookies, policy: e.policy, cacheControl: e.settings.CacheControl, cacheStatuses: e.settings.CacheStatuses,
	}
	values := strings.NewReplacer(
		"{route.name}", b.Route.Name, "{route.path}", b.Route.Path, "{route.target}", b.Route.Target, "{gateway.version}", b.Version,
	)
	for _, name := range slices.Sorted(maps.Keys(e.settings.SetHeaders)) {
		value := values.Replace(string(e.settings.SetHeaders[name]))
		if !httpguts.ValidHeaderFieldValue(value) {
			return nil, fmt.Errorf("rule.setHeaders.%s: the name or path of the route has no place in a header", name) // P9
		}
		edit.headers = append(edit.headers, newHeader(name, value))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !covered.Covers(r) {
			next.ServeHTTP(w, r)
			return
		}
		origin := r.Header.Get("Origin")
		out := &writer{ResponseWriter: w, edit: edit, origin: origin}
		if e.policy.answers(r, origin) {
			e.policy.preflight(out, r, origin)
			return
		}
		next.ServeHTTP(out, r)
		// An answer that is all empty has no head yet; its status is 200.
		out.head(http.StatusOK)
	}), nil
}

// header is one to set, or to remove if it has no value. The value is shared by
// all answers: it is replaced by those who come later, and never written to.
type header struct {
	name  string
	value []string
}

func newHeader(name, value string) header {
	x := header{name: http.CanonicalHeaderKey(name)}
	if value != "" {
		x.value = []string{value}
	}
	return x
}

func (x header) apply(h http.Header) {
	if x.value == nil {
		delete(h, x.name)
		return
	}
	h[x.name] = x.value
}

// edit is what happens to a head.
type edit struct {
	headers       []header
	cookies       []string
	cacheControl  string
	cacheStatuses []int
	policy        *policy
}

func (e *edit) apply(h http.Header, status int, origin string) {
	for _, x := range e.headers {
		x.apply(h)
	}
	if e.cacheControl != "" && (len(e.cacheStatuses) == 0 || slices.Contains(e.cacheStatuses, status)) {
		h["Cache-Control"] = []string{e.cacheControl}
	}
	if len(e.cookies) > 0 {
		h["Set-Cookie"] = slices.Concat(h["Set-Cookie"], e.cookies)
	}
	e.policy.apply(h, origin)
}
