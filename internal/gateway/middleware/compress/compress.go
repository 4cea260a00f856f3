// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package compress compresses answers for clients that take it, by gzip, Brotli or
// Zstandard.
//
// An answer is left as it is when it is compressed already, when it is small, when
// its type does not shrink, when it may not be changed (no-transform), and when it
// has no whole body: HEAD, 204, 206, 304. Bodies are compressed while they pass: at
// most the smallest size worth compressing is held back, and what the backend
// flushes is flushed.
package compress

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/scope"
)

// Type is compress.
var Type = definition.Type{Names: []string{"compress"}, Scoped: true, Parse: parse}

// Settings is the rule of a compress middleware. All of it has defaults.
type Settings struct {
	// Encodings are zstd, br and gzip, the preferred one first: it counts where a
	// client weighs several alike. Default: zstd, br, gzip.
	Encodings []string `json:"encodings"`
	// Level is fastest, default or best.
	Level string `json:"level"`
	// MinSize is the size from which bodies are compressed. Default 1Ki. A body
	// whose size is not known beforehand and that is flushed counts as large.
	MinSize *definition.Text `json:"minSize"`
	// ContentTypes are the types to compress, such as text/* or application/json.
	// Default: those known to shrink.
	ContentTypes []string `json:"contentTypes"`
	// ExcludedContentTypes are not compressed whatever ContentTypes say.
	ExcludedContentTypes []string `json:"excludedContentTypes"`
}

const defaultMinBytes = 1 << 10

// maxMinBytes bounds what is held back of a body.
const maxMinBytes = 1 << 20

// shrinking are the types that are compressed by default.
var shrinking = []string{
	"text/*", "application/json", "application/*+json", "application/xml", "application/*+xml", "application/javascript",
	"application/x-javascript", "application/ecmascript", "application/manifest+json", "application/x-ndjson", "application/wasm",
	"application/graphql", "application/x-www-form-urlencoded", "application/yaml", "application/toml", "application/rtf",
	"application/vnd.ms-fontobject", "application/x-font-ttf", "application/x-font-otf", "font/ttf", "font/otf", "font/collection",
	"image/svg+xml", "image/bmp", "image/x-icon", "image/vnd.microsoft.icon",
}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	e := &rule{minBytes: defaultMinBytes, level: levelDefault}
	invalid := func(field, format string, args ...any) {
		problems = append(problems, definition.Invalid(field, format, args...))
	}
	if e.encodings = encodersOf(s.Encodings, invalid); len(s.Encodings) == 0 {
		e.encodings = []encoding{zstandard, brotlis, gzips}
	}
	if s.Level != "" {
		if e.level = level(strings.ToLower(s.Level)); !slices.Contains(levels, e.level) {
			invalid("level", "unknown value %q; use fastest, default or best", s.Level)
		}
	}
	if s.MinSize != nil {
		n, err := definition.ParseSize(string(*s.MinSize))
		switch {
		case err != nil:
			invalid("minSize", "%v", err)
		case n > maxMinBytes:
			invalid("minSize", "is more than can be held back; use at most 1Mi")
		}
		e.minBytes = int(min(n, maxMinBytes))
	}
	e.types = typesOf("contentTypes", s.ContentTypes, invalid)
	if len(s.ContentTypes) == 0 {
		e.types = typesOf("", shrinking, invalid)
	}
	e.excluded = typesOf("excludedContentTypes", s.ExcludedContentTypes, invalid)
	if config.HasErrors(problems) {
		return nil, problems
	}
	return e, problems
}

func encodersOf(names []string, invalid func(field, format string, args ...any)) (list []encoding) {
	for i, name := range names {
		e, ok := encodings[strings.ToLower(strings.TrimSpace(name))]
		switch field := fmt.Sprintf("encodings[%d]", i); {
		case !ok:
			invalid(field, "unknown value %q; use zstd, br or gzip", name)
		case slices.Contains(list, e):
			invalid(field, "%s is there twice", name)
		default:
			list = append(list, e)
		}
	}
	return list
}

type rule struct {
	encodings       []encoding
	level           level
	minBytes        int
	types, excluded types
}

// Handler implements definition.Rule.
func (e *rule) Handler(b definition.Build, next http.Handler) (http.Handler, error) {
	covered, err := scope.Compile(b.Paths, b.Route.Path)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !covered.Covers(r) || untouched(r) {
			next.ServeHTTP(w, r)
			return
		}
		out := &writer{ResponseWriter: w, rule: e, encoding: choose(r.Header["Accept-Encoding"], e.encodings)}
		defer out.abandon()
		next.ServeHTTP(out, r)
		out.finish()
	}), nil
}

// untouched tells the requests whose answers are left alone: those without a body,
// for a part of one, for no transformation, upgrades, and gRPC, which compresses
// by itself.
func untouched(r *http.Request) bool {
	return r.Method == http.MethodHead || r.Method == http.MethodConnect || r.Header.Get("Upgrade") != "" || r.Header.Get("Range") != "" ||
		hasToken(r.Header["Cache-Control"], "no-transform") ||
		isGRPC(r.Header)
}

func isGRPC(h http.Header) bool {
	return strings.HasPrefix(strings.ToLower(h.Get("Content-Type")), "application/grpc")
}

// hasToken looks for one member of a list, in any case.
func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for member := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(member), token) {
				return true
			}
		}
	}
	return false
}
