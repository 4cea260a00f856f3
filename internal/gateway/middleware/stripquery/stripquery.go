// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package stripquery takes parameters out of the query that the backend sees. What
// stays, stays byte for byte.
package stripquery

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

// Type is stripQuery.
var Type = definition.Type{Names: []string{"stripQuery"}, Parse: parse}

// Settings is the rule of a stripQuery middleware.
type Settings struct {
	// Params are the names of the parameters to take out. Required.
	Params []definition.Text `json:"params"`
	// Methods are those to act on, in any case; without a list all.
	Methods []string `json:"methods"`
	// PathPattern is a regular expression (RE2) of the paths to act on; without
	// one all.
	PathPattern string `json:"pathPattern"`
}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	out := &rule{}
	if len(s.Params) == 0 {
		problems = append(problems, definition.Invalid("params", "list at least one parameter"))
	}
	for i, name := range s.Params {
		if name == "" {
			problems = append(problems, definition.Invalid(fmt.Sprintf("params[%d]", i), "is empty"))
		}
		out.params = append(out.params, string(name))
	}
	for _, method := range s.Methods {
		out.methods = append(out.methods, strings.ToUpper(method))
	}
	if s.PathPattern != "" {
		var err error
		if out.paths, err = regexp.Compile(s.PathPattern); err != nil {
			problems = append(problems, definition.Invalid("pathPattern", "is not an RE2 regular expression: %v", err))
		}
	}
	if config.HasErrors(problems) {
		return nil, problems
	}
	return out, problems
}

type rule struct {
	params, methods []string
	paths           *regexp.Regexp
}

// Handler implements definition.Rule.
func (q *rule) Handler(_ definition.Build, next http.Handler) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "" || !q.covers(r) {
			next.ServeHTTP(w, r)
			return
		}
		rest := q.strip(r.URL.RawQuery)
		if len(rest) == len(r.URL.RawQuery) {
			next.ServeHTTP(w, r)
			return
		}
		out := r.WithContext(r.Context())
		u := *r.URL
		u.RawQuery, u.ForceQuery = rest, false
		out.URL = &u
		next.ServeHTTP(w, out)
	}), nil
}

func (q *rule) covers(r *http.Request) bool {
	return (len(q.methods) == 0 || slices.Contains(q.methods, r.Method)) &&
		(q.paths == nil || q.paths.MatchString(exchange.Of(r).Path))
}

// strip drops the pairs whose decoded name is one of the parameters. P4
func (q *rule) strip(raw string) string {
	var kept []string
	for pair := range strings.SplitSeq(raw, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if decoded, err := url.QueryUnescape(name); err == nil {
			name = decoded
		}
		if !slices.Contains(q.params, name) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}
