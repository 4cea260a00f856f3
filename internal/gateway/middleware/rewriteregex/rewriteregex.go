// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package rewriteregex changes the path that the backend sees, by a regular
// expression.
//
// It works on the escaped path in normal form, so that an encoded slash stays one.
// What a client can put into the new path, by a header or a parameter of the query,
// becomes part of one segment. A path that would come out with a dot segment is
// refused: the rule says where requests go, and a client cannot climb out of there.
package rewriteregex

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// Type is rewriteRegex.
var Type = definition.Type{Names: []string{"rewriteRegex"}, Parse: parse}

// Settings is the rule of a rewriteRegex middleware.
type Settings struct {
	// Pattern is a regular expression (RE2) that is looked for in the path in
	// normal form. Required. A path without a match stays as it is.
	Pattern string `json:"pattern"`
	// Replacement stands in place of each match. $1 is the first group, and
	// {{goma.headers.Name}} and {{goma.query.name}} are values of the request. Empty
	// by default.
	Replacement string `json:"replacement"`
}

const (
	maxPatternBytes     = 4096
	maxReplacementBytes = 4096
	// maxPathBytes is more than any backend takes.
	maxPathBytes = 16 << 10
)

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	if s.Pattern == "" || len(s.Pattern) > maxPatternBytes {
		return nil, append(problems, definition.Invalid("pattern", "must be a regular expression of at most %d bytes", maxPatternBytes))
	}
	pattern, err := regexp.Compile(s.Pattern)
	if err != nil {
		return nil, append(problems, definition.Invalid("pattern", "is not an RE2 regular expression: %v", err))
	}
	parts, err := parseReplacement(s.Replacement)
	if err != nil {
		return nil, append(problems, definition.Invalid("replacement", "%v", err))
	}
	if name := missingGroup(pattern, parts); name != "" {
		problems = append(problems, config.Problem{
			Field: "rule.replacement", Reason: config.ReasonIgnored, Severity: config.SeverityWarning,
			Message: "the pattern has no group " + name + ", so nothing stands in its place; write ${1}x where a letter follows a group",
		})
	}
	return &rule{pattern: pattern, replacement: parts}, problems
}

type rule struct {
	pattern     *regexp.Regexp
	replacement replacement
}

// Handler implements definition.Rule.
func (e *rule) Handler(_ definition.Build, next http.Handler) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := exchange.Of(r).Path
		matches := e.pattern.FindAllStringSubmatchIndex(asked, -1)
		if len(matches) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		path, ok := clean(e.rewrite(r, asked, matches))
		if !ok {
			exchange.Of(r).Reason = "rewrite_regex"
			reply.Error(w, r, http.StatusBadRequest, "")
			return
		}
		definition.ServePath(next, w, r, path)
	}), nil
}

// rewrite puts the replacement in place of each match.
func (e *rule) rewrite(r *http.Request, asked string, matches [][]int) string {
	out, end := make([]byte, 0, 2*len(asked)), 0
	for _, match := range matches {
		out = append(out, asked[end:match[0]]...)
		for _, part := range e.replacement {
			out = part.expand(out, e.pattern, r, asked, match)
		}
		end = match[1]
	}
	return string(append(out, asked[end:]...))
}

// clean brings a rewritten path into normal form. Doubled slashes become one; a dot
// segment, in whatever way it is written, is no path to go on with. P3
func clean(path string) (string, bool) {
	if len(path) > maxPathBytes {
		return "", false
	}
	path = "/" + strings.TrimLeft(path, "/")
	for segment := range strings.SplitSeq(normal.Decode(path), "/") {
		if segment == "." || segment == ".." {
			return "", false
		}
	}
	path, err := normal.Path(path)
	return path, err == nil
}
