// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package accesspolicy admits or refuses clients by address. The address is the
// derived one of the exchange, which a client cannot choose. IPv4 addresses that
// come in IPv6 form are compared as what they are.
package accesspolicy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/gaissmai/bart"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// Type is accessPolicy, which other gateways call ipFilter.
var Type = definition.Type{Names: []string{"accessPolicy", "ipFilter"}, Security: true, Parse: parse}

// Settings is the rule of an accessPolicy middleware.
type Settings struct {
	// Action is ALLOW, which admits only the listed sources and is the default,
	// or DENY, which refuses them; in any case.
	Action string `json:"action"`
	// SourceRanges lists addresses, CIDR blocks and ranges "first-last", of IPv4
	// and IPv6. Required.
	SourceRanges []string `json:"sourceRanges"`
}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	out := &rule{sources: new(bart.Lite)}
	switch strings.ToUpper(s.Action) {
	case "", "ALLOW":
		out.admitListed = true
	case "DENY":
	default:
		problems = append(problems, definition.Invalid("action", "unknown value %q; use ALLOW or DENY", s.Action))
	}
	if len(s.SourceRanges) == 0 {
		problems = append(problems, definition.Invalid("sourceRanges", "list at least one address, CIDR block or range"))
	}
	for i, text := range s.SourceRanges {
		prefixes, err := parseRange(text)
		if err != nil {
			problems = append(problems, definition.Invalid(fmt.Sprintf("sourceRanges[%d]", i), "%v", err))
		}
		for _, p := range prefixes {
			out.sources.Insert(p)
		}
	}
	if config.HasErrors(problems) {
		return nil, problems
	}
	return out, problems
}

type rule struct {
	sources     *bart.Lite
	admitListed bool
}

// Handler implements definition.Rule.
func (p *rule) Handler(_ definition.Build, next http.Handler) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchange.Of(r)
		if p.admits(x.ClientIP) {
			next.ServeHTTP(w, r)
			return
		}
		x.Reason = "access_policy"
		reply.Error(w, r, http.StatusForbidden, "")
	}), nil
}

// admits refuses a client without an address, whatever the action.
func (p *rule) admits(client netip.Addr) bool {
	client = client.Unmap().WithZone("")
	return client.IsValid() && p.sources.Contains(client) == p.admitListed
}
