// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// findings collects the problems of one object.
type findings struct {
	object ObjectRef
	// place gives where a field is written.
	place func(field string) Position
	found collector
}

func (f *findings) invalid(field, format string, args ...any) {
	f.add(SeverityError, field, format, args...)
}

func (f *findings) warn(field, format string, args ...any) {
	f.add(SeverityWarning, field, format, args...)
}

func (f *findings) add(severity Severity, field, format string, args ...any) {
	f.found.add(Problem{
		Object: f.object, Field: field, Reason: ReasonInvalid, Severity: severity,
		Message: fmt.Sprintf(format, args...), Position: f.place(field),
	})
}

// oneOf takes an empty value as unset; other values must stand in the list,
// in any case.
func (f *findings) oneOf(field, value string, allowed ...string) {
	if value == "" || slices.ContainsFunc(allowed, func(a string) bool { return strings.EqualFold(a, value) }) {
		return
	}
	f.invalid(field, "unknown value %q; use one of %s", value, strings.Join(allowed, ", "))
}

// ValidateRoute gives all that makes a route unusable by itself: what it refers
// to is checked where that is known. Fields are relative to the route.
func ValidateRoute(r *Route) []Problem {
	f := &findings{object: refOf("Route", r.Name, r.Meta.Ref), place: r.Meta.Place}
	if r.Name == "" {
		f.invalid("name", "a route needs a name")
	}
	f.path(r.Path)
	f.rewrite(r.Rewrite)
	for i, method := range r.Methods {
		f.method(fmt.Sprintf("methods[%d]", i), method)
	}
	for i, host := range r.Hosts {
		if !validHostPattern(host) {
			f.invalid(fmt.Sprintf("hosts[%d]", i), "%q is not a host; write api.example.com, *.example.com or {tenant}.example.com", host)
		}
	}
	f.backends(r)
	f.healthCheck(r.HealthCheck)
	f.loadBalancing(r.LoadBalancing)
	f.outlierDetection(r.OutlierDetection)
	f.routeTimeouts(r.Timeouts)
	f.backendTLS(r.Security)
	f.routeTLS(r.TLS)
	if m := r.Maintenance; m != nil && m.StatusCode != 0 && !validStatus(m.StatusCode) {
		f.invalid("maintenance.statusCode", "%d is not a final HTTP status; use 200 to 599", m.StatusCode)
	}
	return f.found.problems()
}

// ValidateMiddleware checks what all types have in common; the rule is checked
// by the type.
func ValidateMiddleware(m *Middleware) []Problem {
	f := &findings{object: refOf("Middleware", m.Name, m.Meta.Ref), place: m.Meta.Place}
	if m.Name == "" {
		f.invalid("name", "a middleware needs a name")
	}
	if m.Type == "" {
		f.invalid("type", "a middleware needs a type, such as basicAuth or rateLimit")
	}
	for i, p := range m.Paths {
		if strings.TrimSpace(p) == "" {
			f.invalid(fmt.Sprintf("paths[%d]", i), "is empty; leave paths out to cover the whole route")
		}
	}
	return f.found.problems()
}

// refOf completes the reference that the source gave.
func refOf(kind, name string, ref ObjectRef) ObjectRef {
	if ref.Kind == "" {
		ref.Kind = kind
	}
	if ref.Name == "" {
		ref.Name = name
	}
	return ref
}

// segmentPlaceholder is a path segment that matches any one segment.
var segmentPlaceholder = regexp.MustCompile(`^\{[A-Za-z_][A-Za-z0-9_]*\}$`)

func (f *findings) path(path string) {
	if path == "" {
		f.invalid("path", "a route needs a path; / matches every request")
		return
	}
	if strings.ContainsFunc(path, notInPath) {
		f.invalid("path", "%q holds a control character, space, ? or #, which no request path has; percent-encode it", path)
		return
	}
	for segment := range strings.SplitSeq(path, "/") {
		if strings.ContainsAny(segment, "{}") && !segmentPlaceholder.MatchString(segment) {
			f.invalid("path", "%q is not a placeholder; a placeholder is a whole segment, like /users/{id}", segment)
		}
		if segment == "." || segment == ".." {
			f.invalid("path", "dot segments never match, because request paths are normalised first; write the path without them")
		}
	}
}

func (f *findings) rewrite(rewrite string) {
	if strings.ContainsFunc(rewrite, notInPath) {
		f.invalid("rewrite", "%q holds a control character, space, ? or #; percent-encode it", rewrite)
	}
	for segment := range strings.SplitSeq(rewrite, "/") {
		if segment == "." || segment == ".." {
			f.invalid("rewrite", "must not hold dot segments")
			return
		}
	}
}

func notInPath(r rune) bool {
	return unicode.IsControl(r) || unicode.IsSpace(r) || r == '?' || r == '#'
}

var knownMethods = []string{
	http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodHead, http.MethodOptions, http.MethodConnect, http.MethodTrace,
}

func (f *findings) method(field, method string) {
	if method == "" {
		f.invalid(field, "is empty; leave methods out to admit all")
		return
	}
	f.oneOf(field, method, knownMethods...)
}

func validStatus(code int) bool { return code >= 200 && code <= 599 }
