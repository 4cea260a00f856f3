// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package scope decides which requests of a route a middleware is for: the
// meaning of a middleware's paths.
//
// No paths is the whole route. A plain entry covers itself and everything below
// it, by whole segments and ignoring case; an entry that ends in /* covers what
// is below. An entry may leave out the path of the route. An entry with the
// characters of a regular expression is one (RE2), and has to match the whole
// path. Requests are compared by their normal form, which is also what is sent.
package scope

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// Scope is a compiled list of paths. The zero value covers everything.
type Scope struct {
	prefixes []string
	patterns []*regexp.Regexp
	some     bool
}

// Compile reads the paths of a middleware on a route. The error names the entry.
func Compile(paths []string, routePath string) (*Scope, error) {
	s := &Scope{some: len(paths) > 0}
	for i, entry := range paths {
		if err := s.add(entry, routePath); err != nil {
			return nil, fmt.Errorf("paths[%d]: %w", i, err)
		}
	}
	return s, nil
}

func (s *Scope) add(entry, routePath string) error {
	if entry == "/.*" || entry == "/*" || entry == "*" {
		entry = "/"
	}
	plain := strings.TrimSuffix(entry, "/*")
	if strings.ContainsAny(plain, "^$*+?()[]|\\") {
		pattern, err := regexp.Compile("^(?:" + entry + ")$")
		if err != nil {
			return fmt.Errorf("%q is not an RE2 regular expression: %w", entry, err)
		}
		s.patterns = append(s.patterns, pattern)
		return nil
	}
	plain = canonical(plain)
	s.prefixes = append(s.prefixes, plain, canonical(routePath)+plain)
	return nil
}

// canonical is lower case, with a leading slash and without a trailing one; the
// root is empty.
func canonical(path string) string {
	path = strings.ToLower(strings.Trim(path, "/"))
	if path == "" {
		return ""
	}
	return "/" + path
}

// Covers tells whether the middleware is for this request.
func (s *Scope) Covers(r *http.Request) bool {
	if !s.some {
		return true
	}
	return s.CoversPath(exchange.Of(r).Path)
}

// CoversPath is Covers for a path in normal form.
func (s *Scope) CoversPath(path string) bool {
	if !s.some {
		return true
	}
	lower := strings.ToLower(path)
	for _, prefix := range s.prefixes {
		if rest, ok := strings.CutPrefix(lower, prefix); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	for _, pattern := range s.patterns {
		if pattern.MatchString(path) {
			return true
		}
	}
	return false
}
