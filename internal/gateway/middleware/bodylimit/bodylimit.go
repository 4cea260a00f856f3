// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package bodylimit bounds the bodies of requests. A body that says beforehand that
// it is too large is refused before a byte of it is read; one that does not say is
// cut where it passes the limit, and what the backend has seen by then is no more
// than that. Nothing is buffered.
package bodylimit

import (
	"encoding/json"
	"fmt"
	"net/http"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// Type is bodyLimit.
var Type = definition.Type{Names: []string{"bodyLimit"}, Security: true, Parse: parse}

// Settings is the rule of a bodyLimit middleware.
type Settings struct {
	// Limit is a size such as 10Mi or 5MB; a bare number is bytes. Required.
	Limit definition.Text `json:"limit"`
}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	bytes, err := definition.ParseSize(string(s.Limit))
	if err != nil {
		return nil, append(problems, definition.Invalid("limit", "%v", err))
	}
	return rule{bytes: bytes, message: fmt.Sprintf("Request body too large (limit %d bytes)", bytes)}, problems
}

type rule struct {
	bytes   int64
	message string
}

// Handler implements definition.Rule.
func (l rule) Handler(_ definition.Build, next http.Handler) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > l.bytes {
			exchange.Of(r).Reason = "body_limit"
			reply.Error(w, r, http.StatusRequestEntityTooLarge, l.message)
			return
		}
		if r.ContentLength < 0 && r.Body != nil {
			// The proxy answers 413 when this body ends with its error.
			r.Body = http.MaxBytesReader(w, r.Body, l.bytes)
		}
		next.ServeHTTP(w, r)
	}), nil
}
