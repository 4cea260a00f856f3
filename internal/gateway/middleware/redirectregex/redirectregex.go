// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package redirectregex sends clients elsewhere whose path and query match a
// regular expression. What a client puts into its request never decides to which
// host it is sent: that is the same one, or the one that the rule spells out.
package redirectregex

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"golang.org/x/net/http/httpguts"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// Type is redirectRegex.
var Type = definition.Type{Names: []string{"redirectRegex"}, Parse: parse}

// Settings is the rule of a redirectRegex middleware.
type Settings struct {
	// Pattern is a regular expression (RE2) that is looked for in the path in
	// normal form with its query. Required.
	Pattern string `json:"pattern"`
	// Replacement stands in place of the match, and the whole is where to; $1 is
	// the first group. Required.
	Replacement *string `json:"replacement"`
	// Permanent answers 301 in place of 302; 308 and 307 to methods other than
	// GET and HEAD, so that they keep method and body.
	Permanent bool `json:"permanent"`
}

const maxPatternBytes = 4096

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	if s.Pattern == "" || len(s.Pattern) > maxPatternBytes {
		problems = append(problems, definition.Invalid("pattern", "must be a regular expression of at most %d bytes", maxPatternBytes))
	}
	pattern, err := regexp.Compile(s.Pattern)
	if err != nil {
		problems = append(problems, definition.Invalid("pattern", "is not an RE2 regular expression: %v", err))
	}
	if s.Replacement == nil {
		problems = append(problems, definition.Invalid("replacement", "is missing"))
	} else if host, absolute := hostOf(*s.Replacement); absolute && (host == "" || strings.ContainsAny(host, "$@\\")) {
		problems = append(problems, definition.Invalid("replacement", "must spell out the host: a part of the request must not decide it"))
	}
	if config.HasErrors(problems) {
		return nil, problems
	}
	_, absolute := hostOf(*s.Replacement)
	return &rule{pattern: pattern, replacement: *s.Replacement, absolute: absolute, permanent: s.Permanent}, problems
}

// hostOf gives the host of a replacement that is an absolute URL.
func hostOf(replacement string) (host string, absolute bool) {
	for _, scheme := range []string{"http://", "https://"} {
		if rest, ok := strings.CutPrefix(strings.ToLower(replacement), scheme); ok {
			if i := strings.IndexAny(rest, "/?#"); i >= 0 {
				return rest[:i], true
			}
			return rest, true
		}
	}
	return "", false
}

type rule struct {
	pattern             *regexp.Regexp
	replacement         string
	absolute, permanent bool
}

// Handler implements definition.Rule.
func (e *rule) Handler(_ definition.Build, next http.Handler) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := exchange.Of(r).Path
		if r.URL.RawQuery != "" {
			from += "?" + r.URL.RawQuery
		}
		if definition.IsChallenge(r) || !e.pattern.MatchString(from) {
			next.ServeHTTP(w, r)
			return
		}
		exchange.Of(r).Reason = "redirect_regex"
		location := e.location(from)
		if !httpguts.ValidHeaderFieldValue(location) {
			reply.Error(w, r, http.StatusBadRequest, "") // P9
			return
		}
		w.Header().Set("Location", location)
		w.WriteHeader(definition.RedirectStatus(r.Method, e.permanent))
	}), nil
}

// location replaces the first match. A URL that the rule spells out begins with
// its host, whatever stood before the match.
func (e *rule) location(from string) string {
	at := e.pattern.FindStringSubmatchIndex(from)
	to := string(e.pattern.ExpandString(nil, e.replacement, from, at))
	rest := from[at[1]:]
	if host, _ := hostOf(to); e.absolute && strings.HasSuffix(strings.ToLower(to), "://"+host) {
		// Nothing follows the host yet: what was not matched must not prolong it.
		return to + definition.OnThisHost(rest)
	}
	if e.absolute {
		return to + rest
	}
	return definition.OnThisHost(from[:at[0]] + to + rest)
}
