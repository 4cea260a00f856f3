// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package access refuses everybody: the paths of the middleware are closed to the
// outside. Without paths nothing is, since a Route that nobody may use is better
// disabled.
package access

import (
	"encoding/json"
	"net/http"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/scope"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// Type is access.
var Type = definition.Type{Names: []string{"access"}, Security: true, Scoped: true, Parse: parse}

// Settings is the rule of an access middleware. It may be left out.
type Settings struct {
	// StatusCode is the status of the refusal, 400 to 599; 403 by default.
	StatusCode int `json:"statusCode"`
}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	s := Settings{StatusCode: http.StatusForbidden}
	problems := definition.Decode(raw, &s)
	if s.StatusCode == 0 {
		s.StatusCode = http.StatusForbidden
	}
	if s.StatusCode < 400 || s.StatusCode > 599 {
		problems = append(problems, definition.Invalid("statusCode", "%d is no refusal; use 400 to 599", s.StatusCode))
	}
	if config.HasErrors(problems) {
		return nil, problems
	}
	return rule(s), problems
}

type rule Settings

// Handler implements definition.Rule.
func (a rule) Handler(b definition.Build, next http.Handler) (http.Handler, error) {
	if len(b.Paths) == 0 {
		return next, nil
	}
	covered, err := scope.Compile(b.Paths, b.Route.Path)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !covered.Covers(r) {
			next.ServeHTTP(w, r)
			return
		}
		exchange.Of(r).Reason = "access"
		reply.Error(w, r, a.StatusCode, "")
	}), nil
}
