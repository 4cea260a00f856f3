// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import "strings"

// rewriter exchanges the beginning of a path that a route matched. It works on
// the escaped normal form, segment by segment, so it cannot climb out of what it
// puts there. P3
type rewriter struct {
	// segments are those of the route's path; a placeholder matches any one.
	segments []string
	to       string
	on       bool
}

func newRewriter(path, to string) rewriter {
	if to == "" {
		return rewriter{}
	}
	w := rewriter{on: true, to: "/" + strings.Trim(collapse(to), "/")}
	if trimmed := strings.Trim(path, "/"); trimmed != "" && trimmed != "*" {
		w.segments = strings.Split(strings.TrimSuffix(trimmed, "/*"), "/")
	}
	return w
}

// apply gives the path to send. A path that the route's does not begin, because a
// middleware has changed it, stays as it is.
func (w rewriter) apply(path string) string {
	if !w.on {
		return path
	}
	rest := path
	for _, segment := range w.segments {
		head, tail, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
		if head != segment && !isPlaceholder(segment) {
			return path
		}
		if len(head)+1 == len(rest) {
			rest = ""
			continue
		}
		rest = "/" + tail
	}
	switch {
	case rest == "":
		return w.to
	case w.to == "/":
		return rest
	}
	return w.to + rest
}

func isPlaceholder(segment string) bool {
	return strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "}")
}

// collapse makes one slash of several.
func collapse(s string) string {
	for strings.Contains(s, "//") {
		s = strings.ReplaceAll(s, "//", "/")
	}
	return s
}
