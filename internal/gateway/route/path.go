// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package route

import (
	"errors"
	"fmt"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/normal"
)

// placeholder stands for one segment of a path pattern that takes any text. No
// literal segment is equal to it: in normal form a brace is escaped.
const placeholder = "{}"

// pathPattern is a route's path as segments in normal form. Two spellings of
// one pattern are equal, also when they name their placeholders differently.
type pathPattern struct {
	segments []string
	// literals counts the segments that are not placeholders.
	literals int
}

// parsePath reads a path as users write it: a leading slash may be missing, a
// trailing one does not count, and {name} takes one segment. A /* at the end is
// read as what it means: a path takes everything below it as it is.
func parsePath(text string) (pathPattern, error) {
	var p pathPattern
	trimmed := strings.Trim(strings.TrimSuffix(text, "/*"), "/")
	if trimmed == "*" {
		trimmed = ""
	}
	if trimmed == "" {
		return p, nil
	}
	for segment := range strings.SplitSeq(trimmed, "/") {
		parsed, err := parseSegment(segment)
		if err != nil {
			return pathPattern{}, fmt.Errorf("%q is not a path: %w", text, err)
		}
		if parsed != placeholder {
			p.literals++
		}
		p.segments = append(p.segments, parsed)
	}
	return p, nil
}

func parseSegment(segment string) (string, error) {
	if strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "}") && placeholderName(segment[1:len(segment)-1]) {
		return placeholder, nil
	}
	switch {
	case segment == "":
		return "", errors.New("it has two slashes in a row; write one")
	case strings.ContainsAny(segment, "{}"):
		return "", fmt.Errorf("%q is no placeholder; {name} takes a whole segment and has no pattern", segment)
	case strings.Contains(segment, "*"):
		return "", fmt.Errorf("%q has a star; use {name} for one segment, a path takes everything below it as it is", segment)
	}
	// What is no part of a path as written, like a space, is meant literally.
	path, err := normal.Path("/" + strings.ReplaceAll(segment, " ", "%20"))
	if err != nil {
		return "", fmt.Errorf("%q: %w", segment, err)
	}
	if path == "/" || strings.Count(path, "/") != 1 {
		return "", fmt.Errorf("%q is a dot segment, which no request reaches", segment)
	}
	return path[1:], nil
}

// String gives the pattern as a path, placeholders without their names.
func (p pathPattern) String() string { return "/" + strings.Join(p.segments, "/") }

// nextSegment cuts the first segment off a path in normal form, without its
// leading slash.
func nextSegment(path string) (segment, rest string) {
	segment, rest, _ = strings.Cut(path, "/")
	return segment, rest
}
