// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package redirect sends every client somewhere else.
package redirect

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

// Type is redirect.
var Type = definition.Type{Names: []string{"redirect"}, Parse: parse}

// Settings is the rule of a redirect middleware.
type Settings struct {
	// URL is where to: an absolute URL, or a path on the same host, which keeps
	// the query of the request. Required.
	URL string `json:"url"`
	// Permanent answers 301 in place of 302; 308 and 307 to methods other than
	// GET and HEAD, so that they keep method and body.
	Permanent bool `json:"permanent"`
}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	out := rule{location: s.URL, permanent: s.Permanent}
	u, err := url.Parse(s.URL)
	switch {
	case s.URL == "":
		return nil, append(problems, definition.Invalid("url", "is missing; write https://www.example.com/ or a path"))
	case err != nil || !httpguts.ValidHeaderFieldValue(s.URL):
		return nil, append(problems, definition.Invalid("url", "is not a URL"))
	case strings.HasPrefix(s.URL, "/") && !strings.HasPrefix(s.URL, "//") && !strings.HasPrefix(s.URL, `/\`):
		out.keepQuery = u.RawQuery == "" && u.Fragment == ""
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, append(problems, definition.Invalid("url", "must begin with http:// or https:// and a host, or be a path that begins with one slash"))
	}
	return out, problems
}

type rule struct {
	location             string
	keepQuery, permanent bool
}

// Handler implements definition.Rule.
func (to rule) Handler(_ definition.Build, next http.Handler) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if definition.IsChallenge(r) {
			next.ServeHTTP(w, r)
			return
		}
		exchange.Of(r).Reason = "redirect"
		location := to.location
		if to.keepQuery && r.URL.RawQuery != "" {
			location += "?" + r.URL.RawQuery
		}
		w.Header().Set("Location", location)
		w.WriteHeader(definition.RedirectStatus(r.Method, to.permanent))
	}), nil
}
