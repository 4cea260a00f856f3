// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package addprefix puts a prefix in front of the path that the backend sees:
// with the prefix /v2, a request for /users goes out as /v2/users. Exactly one
// slash joins the two; the encoding of the path stays as it is.
package addprefix

import (
	"encoding/json"
	"net/http"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
)

// Type is addPrefix.
var Type = definition.Type{Names: []string{"addPrefix"}, Parse: parse}

// Settings is the rule of an addPrefix middleware.
type Settings struct {
	// Prefix is put before the path. Required; it is one path, without query.
	Prefix string `json:"prefix"`
}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	prefix := "/" + strings.Trim(s.Prefix, "/")
	if prefix == "/" {
		return nil, append(problems, definition.Invalid("prefix", "is missing; write a path like /v2"))
	}
	if clean, err := normal.Path(prefix); err != nil || clean != prefix || strings.ContainsAny(prefix, "?#") {
		return nil, append(problems, definition.Invalid("prefix", "%q is not a path in normal form: no dot segments, no double slashes, no query", s.Prefix))
	}
	return rule{prefix}, problems
}

type rule struct{ prefix string }

// Handler implements definition.Rule.
func (p rule) Handler(_ definition.Build, next http.Handler) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		definition.ServePath(next, w, r, p.prefix+"/"+strings.TrimLeft(r.URL.EscapedPath(), "/"))
	}), nil
}
