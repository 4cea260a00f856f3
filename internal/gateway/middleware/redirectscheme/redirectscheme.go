// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package redirectscheme sends clients from one scheme to the other, most often
// from http to https. The redirect stays on the host that the client asked for.
// ACME challenges (RFC 8555 §8.3) pass, because they must be answered on http.
package redirectscheme

import (
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// Type is redirectScheme.
var Type = definition.Type{Names: []string{"redirectScheme"}, Parse: parse}

// Settings is the rule of a redirectScheme middleware.
type Settings struct {
	// Scheme is http or https. Required.
	Scheme string `json:"scheme"`
	// Port replaces the port of the request; 0, the default, leaves it out, which
	// is the default port of the scheme.
	Port int `json:"port"`
	// Permanent answers 301 in place of 302; 308 and 307 to methods other than
	// GET and HEAD, so that they keep method and body.
	Permanent bool `json:"permanent"`
}

var defaultPorts = map[string]int{"http": 80, "https": 443}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	s.Scheme = strings.ToLower(s.Scheme)
	if defaultPorts[s.Scheme] == 0 && !config.HasErrors(problems) {
		problems = append(problems, definition.Invalid("scheme", "must be http or https"))
	}
	if s.Port < 0 || s.Port > 65535 {
		problems = append(problems, definition.Invalid("port", "%d is not a port; use 1 to 65535, or 0 for the default", s.Port))
	}
	if config.HasErrors(problems) {
		return nil, problems
	}
	return rule(s), problems
}

type rule Settings

// Handler implements definition.Rule.
func (s rule) Handler(_ definition.Build, next http.Handler) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchange.Of(r)
		if x.Scheme == s.Scheme || definition.IsChallenge(r) {
			next.ServeHTTP(w, r)
			return
		}
		x.Reason = "redirect_scheme"
		if x.Host == "" {
			// HTTP/1.0: with no host of its own, the path would be read as one. M31
			reply.Error(w, r, http.StatusBadRequest, "400 the request names no host to redirect to")
			return
		}
		w.Header().Set("Location", s.location(r, x))
		w.WriteHeader(definition.RedirectStatus(r.Method, s.Permanent))
	}), nil
}

func (s rule) location(r *http.Request, x *exchange.Exchange) string {
	host := x.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
		if strings.Contains(h, ":") {
			host = "[" + h + "]"
		}
	}
	if s.Port != 0 && s.Port != defaultPorts[s.Scheme] {
		host += ":" + strconv.Itoa(s.Port)
	}
	target := s.Scheme + "://" + host + x.Path
	if r.URL.RawQuery != "" {
		target += "?" + r.URL.RawQuery
	}
	return target
}
