// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package rewriteregex

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// replacement is what stands in place of a match, part by part.
type replacement []part

// part is a template of package regexp, or a value of the request where it has a
// source.
type part struct {
	template string
	value    func(r *http.Request) string
}

// The beginnings of the tokens.
const (
	headerToken = "goma.headers."
	queryToken  = "goma.query."
)

var (
	errLong  = fmt.Errorf("is longer than %d bytes", maxReplacementBytes)
	errOpen  = errors.New("has a {{ without its }}")
	errQuery = errors.New("must be a path: a query or a fragment cannot be set, and the query stays as it is")
	errRaw   = errors.New(`holds a space, a backslash or a control character; write it as %20, %5C and so on`)
	errToken = errors.New("has a token that is none of {{goma.headers.Name}} and {{goma.query.name}}")
)

// parseReplacement splits a replacement at its tokens. What a request holds is never
// looked at for tokens.
func parseReplacement(text string) (replacement, error) {
	if len(text) > maxReplacementBytes {
		return nil, errLong
	}
	var parts replacement
	for text != "" {
		before, rest, found := strings.Cut(text, "{{")
		if err := checkTemplate(before); err != nil {
			return nil, err
		}
		if before != "" {
			parts = append(parts, part{template: before})
		}
		if !found {
			break
		}
		token, after, closed := strings.Cut(rest, "}}")
		if !closed {
			return nil, errOpen
		}
		value, err := parseToken(strings.TrimSpace(token))
		if err != nil {
			return nil, err
		}
		parts, text = append(parts, part{value: value}), after
	}
	return parts, nil
}

// checkTemplate refuses what no path can hold as it is written.
func checkTemplate(text string) error {
	switch {
	case strings.ContainsAny(text, "?#"):
		return errQuery
	case strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '\\' }):
		return errRaw
	}
	return nil
}

func parseToken(token string) (func(*http.Request) string, error) {
	if name, ok := strings.CutPrefix(token, headerToken); ok && httpguts.ValidHeaderFieldName(name) {
		if strings.EqualFold(name, "Host") {
			return func(r *http.Request) string { return exchange.Of(r).Host }, nil
		}
		name = http.CanonicalHeaderKey(name)
		return func(r *http.Request) string { return r.Header.Get(name) }, nil
	}
	if name, ok := strings.CutPrefix(token, queryToken); ok && name != "" {
		return func(r *http.Request) string { return parameter(r.URL.RawQuery, name) }, nil
	}
	return nil, errToken
}

// parameter is the first value of a parameter; what is malformed is not found.
func parameter(query, name string) string {
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if key, err := url.QueryUnescape(key); err != nil || key != name {
			continue
		}
		text, err := url.QueryUnescape(value)
		if err != nil {
			return ""
		}
		return text
	}
	return ""
}

// expand appends what the part stands for. A value of the request is escaped, so
// that it is a part of one segment. P3
func (p part) expand(out []byte, pattern *regexp.Regexp, r *http.Request, asked string, match []int) []byte {
	if p.value != nil {
		return append(out, url.PathEscape(p.value(r))...)
	}
	return pattern.ExpandString(out, p.template, asked, match)
}

// group is a reference to a group as package regexp reads it: $name or ${name},
// where the name is as long as it can be.
var group = regexp.MustCompile(`\$(?:\$|(\w+)|\{(\w+)\})`)

// missingGroup gives a group that a replacement refers to and a pattern lacks.
func missingGroup(pattern *regexp.Regexp, parts replacement) string {
	names := pattern.SubexpNames()
	for _, p := range parts {
		for _, m := range group.FindAllStringSubmatch(p.template, -1) {
			name := m[1] + m[2]
			n, err := strconv.Atoi(name)
			known := err == nil && n < len(names) || err != nil && slices.Contains(names, name)
			if name != "" && !known {
				return m[0]
			}
		}
	}
	return ""
}
