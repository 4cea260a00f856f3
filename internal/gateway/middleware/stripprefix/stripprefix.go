// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package stripprefix takes a prefix off the path that the backend sees: without
// /api, a request for /api/users goes out as /users. It takes whole segments, so that
// /apiary keeps its own; the encoding of the path stays as it is.
package stripprefix

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
)

// Type is stripPrefix.
var Type = definition.Type{Names: []string{"stripPrefix"}, Parse: parse}

// Settings is the rule of a stripPrefix middleware.
type Settings struct {
	// Prefixes are taken off, the longest that the path has; required. A path that
	// has none stays as it is. Each is one path, without query.
	Prefixes []string `json:"prefixes"`
}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	if len(s.Prefixes) == 0 {
		return nil, append(problems, definition.Invalid("prefixes", "list at least one path, like /api"))
	}
	var out rule
	for i, text := range s.Prefixes {
		prefix := "/" + strings.Trim(text, "/")
		if clean, err := normal.Path(prefix); err != nil || clean != prefix || prefix == "/" {
			problems = append(problems, definition.Invalid(fmt.Sprintf("prefixes[%d]", i),
				"%q is not a path in normal form: not empty, no dot segments, no double slashes, no query", text))
			continue
		}
		out = append(out, prefix)
	}
	if config.HasErrors(problems) {
		return nil, problems
	}
	slices.SortStableFunc(out, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return out, problems
}

// rule is the prefixes, the longest first.
type rule []string

// Handler implements definition.Rule.
func (p rule) Handler(_ definition.Build, next http.Handler) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest, ok := p.strip(exchange.Of(r).Path); ok {
			definition.ServePath(next, w, r, rest)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}

// strip takes the longest prefix off a path in normal form, which it stays. R1
func (p rule) strip(path string) (rest string, ok bool) {
	for _, prefix := range p {
		rest, ok := strings.CutPrefix(path, prefix)
		switch {
		case ok && rest == "":
			return "/", true
		case ok && rest[0] == '/':
			return rest, true
		}
	}
	return path, false
}
