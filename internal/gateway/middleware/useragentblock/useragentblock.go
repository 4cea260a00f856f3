// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package useragentblock refuses clients that call themselves by certain names.
// It keeps out those who say who they are, and nobody else: a client can send any
// User-Agent it likes.
package useragentblock

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// Type is userAgentBlock.
var Type = definition.Type{Names: []string{"userAgentBlock"}, Security: true, Parse: parse}

// Settings is the rule of a userAgentBlock middleware.
type Settings struct {
	// UserAgents are texts; a client whose User-Agent holds one of them, in any
	// case, is refused. Required.
	UserAgents []definition.Text `json:"userAgents"`
}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	if len(s.UserAgents) == 0 {
		return nil, append(problems, definition.Invalid("userAgents", "list at least one text to look for"))
	}
	var out rule
	for i, agent := range s.UserAgents {
		text := strings.ToLower(strings.TrimSpace(string(agent)))
		if text == "" {
			problems = append(problems, definition.Invalid(fmt.Sprintf("userAgents[%d]", i), "is empty, and every client holds that"))
			continue
		}
		out = append(out, text)
	}
	if config.HasErrors(problems) {
		return nil, problems
	}
	return out, problems
}

// rule holds the texts in lower case.
type rule []string

// Handler implements definition.Rule.
func (u rule) Handler(_ definition.Build, next http.Handler) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u.blocks(r.Header["User-Agent"]) {
			exchange.Of(r).Reason = "user_agent"
			reply.Error(w, r, http.StatusForbidden, "User agent not allowed")
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}

// blocks looks at every header of the name: a backend may read any of them. M20
func (u rule) blocks(agents []string) bool {
	for _, agent := range agents {
		for _, text := range u {
			if holds(agent, text) {
				return true
			}
		}
	}
	return false
}

// holds looks for a text in lower case, ignoring the case of ASCII letters, and
// without a copy.
func holds(s, lower string) bool {
	for i := 0; i+len(lower) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(lower)], lower) {
			return true
		}
	}
	return false
}
