// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package middleware is the list of middleware types: the one place from which
// the gateway, the operator and the command line learn what exists.
package middleware

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/access"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/accesslog"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/accesspolicy"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/addprefix"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/apikey"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/basicauth"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/bodylimit"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/circuitbreaker"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/compress"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/errorinterceptor"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/forwardauth"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/geoblock"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/httpcache"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/inflightlimit"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/jwt"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/ldap"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/oauth"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/ratelimit"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/redirect"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/redirectregex"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/redirectscheme"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/requestheaders"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/responseheaders"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/retry"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/rewriteregex"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/scope"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/stripprefix"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/stripquery"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/useragentblock"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/waf"
)

// The parts of a type, from package definition.
type (
	// Type is one kind of middleware.
	Type = definition.Type
	// Phase is a part of a route's chain.
	Phase = definition.Phase
	// Rule is the parsed and valid settings of one middleware.
	Rule = definition.Rule
	// Build is what a Rule may use to become a handler.
	Build = definition.Build
	// RouteInfo is what a middleware may know of its route.
	RouteInfo = definition.RouteInfo
)

// The phases of a chain; see package definition.
const (
	Chain = definition.Chain
	Outer = definition.Outer
	Inner = definition.Inner
)

var types = []Type{
	access.Type,
	accesslog.Type,
	accesspolicy.Type,
	addprefix.Type,
	apikey.Type,
	basicauth.Type,
	bodylimit.Type,
	circuitbreaker.Type,
	compress.Type,
	errorinterceptor.Type,
	forwardauth.Type,
	geoblock.Type,
	httpcache.Type,
	inflightlimit.Type,
	jwt.Type,
	ldap.Type,
	oauth.Type,
	ratelimit.Type,
	redirect.Type,
	redirectregex.Type,
	redirectscheme.Type,
	requestheaders.Type,
	responseheaders.Type,
	retry.Type,
	rewriteregex.Type,
	stripprefix.Type,
	stripquery.Type,
	useragentblock.Type,
	waf.Type,
}

// unsupported is a type that users' files name and this build cannot run. It has
// no rule, so the routes that use it answer 503: it is never skipped.
func unsupported(names ...string) Type {
	return Type{Names: names, Security: true, Parse: func(json.RawMessage) (Rule, []config.Problem) {
		return nil, []config.Problem{{
			Field: "type", Reason: config.ReasonUnsupported,
			Message: fmt.Sprintf("this build has no middleware type %s; routes that use it answer 503 until it is removed from them", names[0]),
		}}
	}}
}

// Lookup finds a type by one of its names, which are matched exactly.
func Lookup(name string) (Type, bool) {
	for _, t := range types {
		if slices.Contains(t.Names, name) {
			return t, true
		}
	}
	return Type{}, false
}

// Names gives every name of every type, sorted.
func Names() []string {
	var names []string
	for _, t := range types {
		names = append(names, t.Names...)
	}
	slices.Sort(names)
	return names
}

// Check gives all that keeps a middleware from being built, and warnings, as far
// as it can be told before variables are put in.
func Check(m *config.Middleware) []config.Problem {
	t, ok := Lookup(m.Type)
	if !ok {
		return about(m, []config.Problem{{
			Field: "type", Reason: config.ReasonInvalid,
			Message: fmt.Sprintf("unknown type %q; use one of %s", m.Type, strings.Join(Names(), ", ")),
		}})
	}
	named, problems := config.RuleSecrets(m.Rule, t.Secrets)
	if len(problems) > 0 {
		return about(m, problems)
	}
	written := m.Rule
	if len(named) > 0 {
		// Like a variable, a Secret has a value that only the gateway knows.
		written = config.FillRule(m.Rule, t.Secrets, func(config.RuleSecret) string { return "${SECRET}" })
	}
	rule, problems := t.Parse(written)
	problems = decided(written, problems)
	if rule != nil {
		problems = append(problems, checkPaths(t, m.Paths)...)
	}
	return about(m, problems)
}

func checkPaths(t Type, paths []string) []config.Problem {
	if len(paths) == 0 {
		return nil
	}
	if !t.Scoped {
		return []config.Problem{{
			Field: "paths", Reason: config.ReasonIgnored, Severity: config.SeverityNote,
			Message: fmt.Sprintf("has no effect: %s is always for the whole route", t.Names[0]),
		}}
	}
	if _, err := scope.Compile(paths, ""); err != nil {
		field, message, _ := strings.Cut(err.Error(), ": ")
		return []config.Problem{{Field: field, Reason: config.ReasonInvalid, Message: message}}
	}
	return nil
}

// about completes problems with the middleware they are about.
func about(m *config.Middleware, problems []config.Problem) []config.Problem {
	ref := m.Meta.Ref
	if ref.Kind == "" {
		ref = config.ObjectRef{Kind: "Middleware", Name: m.Name, Source: ref.Source}
	}
	for i := range problems {
		problems[i].Object = ref
		problems[i].Position = m.Meta.Place(problems[i].Field)
	}
	return config.Bound(problems)
}
