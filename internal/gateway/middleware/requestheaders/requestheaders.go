// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package requestheaders edits the headers that the backend sees: it removes
// some, then sets others. A header that the rule sets is first deleted in every
// spelling that a backend could take for it, so that a client cannot add its own.
package requestheaders

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"golang.org/x/net/http/httpguts"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/scope"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/spelling"
)

// Type is requestHeaders.
var Type = definition.Type{Names: []string{"requestHeaders"}, Scoped: true, Parse: parse}

// Settings is the rule of a requestHeaders middleware.
type Settings struct {
	// SetHeaders gives headers their value; an empty value removes the header.
	SetHeaders map[string]definition.Text `json:"setHeaders"`
	// RemoveHeaders are removed before SetHeaders is applied.
	RemoveHeaders []string `json:"removeHeaders"`
}

// framing headers belong to the connection and not to the request.
var framing = []string{"Connection", "Content-Length", "Host", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	for i, name := range s.RemoveHeaders {
		problems = append(problems, checkName(fmt.Sprintf("removeHeaders[%d]", i), name)...)
	}
	for _, name := range slices.Sorted(maps.Keys(s.SetHeaders)) {
		field := "setHeaders." + name
		problems = append(problems, checkName(field, name)...)
		if !httpguts.ValidHeaderFieldValue(string(s.SetHeaders[name])) {
			problems = append(problems, definition.Invalid(field, "holds a line break or another control character"))
		}
		// Many a value is a credential: it is not sent as it is written. C2
		if variable := config.Unresolved(string(s.SetHeaders[name])); variable != "" {
			problems = append(problems, definition.Unset(field, variable))
		}
	}
	if config.HasErrors(problems) {
		return nil, problems
	}
	return compile(s), problems
}

func checkName(field, name string) []config.Problem {
	if !httpguts.ValidHeaderFieldName(name) {
		return []config.Problem{definition.Invalid(field, "%q is not a header name", name)}
	}
	if slices.Contains(framing, http.CanonicalHeaderKey(name)) {
		return []config.Problem{definition.Invalid(field, "%s belongs to the connection and cannot be edited", name)}
	}
	return nil
}

type rule struct {
	remove spelling.Names
	set    []header
}

// header is one to set. Its value is shared by all requests: it is replaced by
// those who come later, and never written to.
type header struct {
	name  string
	value []string
}

func compile(s Settings) rule {
	var out rule
	remove := slices.Clone(s.RemoveHeaders)
	for _, name := range slices.Sorted(maps.Keys(s.SetHeaders)) {
		remove = append(remove, name)
		if value := s.SetHeaders[name]; value != "" {
			out.set = append(out.set, header{http.CanonicalHeaderKey(name), []string{string(value)}})
		}
	}
	out.remove = spelling.Of(remove...)
	return out
}

// Handler implements definition.Rule.
func (e rule) Handler(b definition.Build, next http.Handler) (http.Handler, error) {
	covered, err := scope.Compile(b.Paths, b.Route.Path)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if covered.Covers(r) {
			e.edit(r)
		}
		next.ServeHTTP(w, r)
	}), nil
}

func (e rule) edit(r *http.Request) {
	e.remove.Delete(r)
	for _, x := range e.set {
		r.Header[x.name] = x.value
	}
}
