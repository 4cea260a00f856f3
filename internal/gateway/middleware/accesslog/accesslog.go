// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package accesslog adds headers, query parameters and cookies of requests to
// their lines in the access log.
//
// Values are taken when the line is written. So a header is logged as it was at
// the end, with what other middlewares made of it; and a request whose line no
// level lets through costs nothing.
package accesslog

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/observe"
)

// Type is accessLog.
var Type = definition.Type{Names: []string{"accessLog"}, Phase: definition.Outer, Parse: parse}

// Settings is the rule of an accessLog middleware. At least one of its lists must
// name something. Values whose name tells of a credential are hidden.
type Settings struct {
	// Headers are request headers; their fields are named in lower case.
	Headers []string `json:"headers"`
	// Query are parameters of the query.
	Query []string `json:"query"`
	// Cookies are names of cookies.
	Cookies []string `json:"cookies"`
}

// usual are the fields that every line has. A name of the rule that is one of them
// gets a prefix.
var usual = []string{
	"time", "level", "msg", "source", "request_id", "method", "url", "http_version", "host", "client_ip", "referer", "status", "duration",
	"route", "user_agent", "backend", "reason", "request_content_length", "response_body_size", "request_headers", "query_params",
	"response_headers",
}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	if len(s.Headers)+len(s.Query)+len(s.Cookies) == 0 {
		return nil, append(problems, definition.Invalid("", "needs one of headers, query and cookies"))
	}
	for i, name := range s.Headers {
		if !httpguts.ValidHeaderFieldName(name) {
			problems = append(problems, definition.Invalid(fmt.Sprintf("headers[%d]", i), "%q is not a header name", name))
		}
	}
	for i, name := range s.Cookies {
		if !httpguts.ValidHeaderFieldName(name) { // the same characters, RFC 6265 §4.1.1
			problems = append(problems, definition.Invalid(fmt.Sprintf("cookies[%d]", i), "%q is not the name of a cookie", name))
		}
	}
	if i := slices.Index(s.Query, ""); i >= 0 {
		problems = append(problems, definition.Invalid(fmt.Sprintf("query[%d]", i), "is empty"))
	}
	if config.HasErrors(problems) {
		return nil, problems
	}
	return compile(s), problems
}

// rule is what to log: each with the name by which it is found, and the key of its
// field.
type rule struct{ headers, query, cookies []named }

type named struct{ name, key string }

func compile(s Settings) *rule {
	taken := slices.Clone(usual)
	key := func(kind, name string) string {
		if slices.Contains(taken, name) {
			name = kind + "_" + name
		}
		taken = append(taken, name)
		return name
	}
	e := &rule{}
	for _, name := range s.Headers {
		e.headers = append(e.headers, named{http.CanonicalHeaderKey(name), key("header", strings.ToLower(name))})
	}
	for _, name := range s.Query {
		e.query = append(e.query, named{name, key("query", name)})
	}
	for _, name := range s.Cookies {
		e.cookies = append(e.cookies, named{name, key("cookie", name)})
	}
	return e
}

// Handler implements definition.Rule.
func (e *rule) Handler(_ definition.Build, next http.Handler) (http.Handler, error) {
	fields := e.fields
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchange.Of(r)
		if before := x.LogFields; before == nil {
			x.LogFields = fields
		} else {
			x.LogFields = func(r *http.Request) []slog.Attr { return append(before(r), fields(r)...) }
		}
		next.ServeHTTP(w, r)
	}), nil
}

// fields gives what there is; what a request does not have has no field.
func (e *rule) fields(r *http.Request) []slog.Attr {
	list := make([]slog.Attr, 0, len(e.headers)+len(e.query)+len(e.cookies))
	for _, n := range e.headers {
		if values := r.Header[n.name]; len(values) > 0 {
			list = append(list, observe.Field(n.name, n.key, strings.Join(values, ", ")))
		}
	}
	for _, n := range e.query {
		if value, ok := parameter(r.URL.RawQuery, n.name); ok {
			list = append(list, observe.Field(n.name, n.key, value))
		}
	}
	for _, n := range e.cookies {
		if c, err := r.Cookie(n.name); err == nil {
			list = append(list, observe.Field(n.name, n.key, c.Value))
		}
	}
	return list
}

// parameter gives the values of a parameter, without reading the others into
// memory.
func parameter(query, name string) (string, bool) {
	var values []string
	for part := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(part, "=")
		if key, err := url.QueryUnescape(key); err != nil || key != name {
			continue
		}
		if text, err := url.QueryUnescape(value); err == nil {
			value = text
		}
		values = append(values, value)
	}
	return strings.Join(values, ", "), values != nil
}
