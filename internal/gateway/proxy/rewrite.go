// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"net/url"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/normal"
)

// rewriter exchanges the beginning of a path that a route matched. It works on
// the escaped normal form, segment by segment, so it cannot climb out of what it
// puts there. P3
type rewriter struct {
	// segments are those of the route's path; a placeholder matches any one.
	segments []string
	// whole stands for the matched part alone; prefix, which does not end in a
	// slash, stands before the rest. Both are empty without a rewrite.
	whole, prefix string
}

func newRewriter(path, to string) rewriter {
	if to == "" {
		return rewriter{}
	}
	w := rewriter{whole: canonical("/" + strings.TrimLeft(to, "/"))}
	w.prefix = strings.TrimSuffix(w.whole, "/")
	trimmed := strings.Trim(strings.TrimSuffix(path, "/*"), "/")
	if trimmed == "" || trimmed == "*" {
		return w
	}
	for segment := range strings.SplitSeq(trimmed, "/") {
		if !isPlaceholder(segment) {
			segment = canonical("/" + segment)[1:]
		}
		w.segments = append(w.segments, segment)
	}
	return w
}

// canonical gives a path from the configuration its normal form, in which request
// paths are. What is no path as written is meant literally.
func canonical(path string) string {
	if p, err := normal.Path(path); err == nil {
		return p
	}
	return (&url.URL{Path: path}).EscapedPath()
}

// apply gives the path to send. A path that the route's does not begin, because a
// middleware has changed it, stays as it is.
func (w rewriter) apply(path string) string {
	if w.whole == "" {
		return path
	}
	rest := path
	for _, segment := range w.segments {
		head, tail, more := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
		if head == "" || head != segment && !isPlaceholder(segment) {
			return path
		}
		if rest = ""; more {
			rest = "/" + tail
		}
	}
	if rest == "" {
		return w.whole
	}
	return w.prefix + rest
}

func isPlaceholder(segment string) bool {
	return strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "}")
}
