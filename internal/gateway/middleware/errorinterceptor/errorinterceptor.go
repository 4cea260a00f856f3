// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package errorinterceptor puts bodies of its own in the place of those that come
// with certain statuses, be they from the backend or from the gateway itself.
//
// What it does not replace it does not touch: such answers are neither buffered
// nor changed. A body that it replaces is not waited for; the new one leaves as
// soon as the status is known.
package errorinterceptor

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/counter"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

// Type is errorInterceptor.
var Type = definition.Type{Names: []string{"errorInterceptor"}, Phase: definition.Outer, Parse: parse}

// Settings is the rule of an errorInterceptor middleware.
type Settings struct {
	// Enabled must be true for the middleware to act. Default false.
	Enabled bool `json:"enabled"`
	// ContentType is that of all answers. Default: JSON, XML or text, as the client
	// asks for; a body that is an HTML document, and a file, are text/html.
	ContentType string `json:"contentType"`
	// Errors are the answers; the first of a status counts.
	Errors []Answer `json:"errors"`
}

// Answer is what the client gets with one status.
type Answer struct {
	// StatusCode is the status to answer for, 200 to 599. Required.
	StatusCode int `json:"statusCode"`
	// Status and Code are other names of StatusCode.
	Status int `json:"status"`
	Code   int `json:"code"`
	// Body is the text of the answer. Default: that of File, or the status and its
	// reason.
	Body string `json:"body"`
	// File is a file with an HTML document, below the directory of such files.
	File string `json:"file"`
}

// intercepted is counted for each status of a rule.
var intercepted = &counter.Kind{
	Name:   "gateway_total_errors_intercepted",
	Help:   "Answers whose body an errorInterceptor has replaced. One series for each route and listed status.",
	Labels: []string{"name", "status"},
}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	if mediaType, _, err := mime.ParseMediaType(s.ContentType); s.ContentType != "" && (err != nil || !strings.Contains(mediaType, "/")) {
		problems = append(problems, definition.Invalid("contentType", "%q is not a content type; write it like text/html; charset=utf-8", s.ContentType))
	}
	seen := map[int]bool{}
	for i := range s.Errors {
		problems = append(problems, s.Errors[i].settle(fmt.Sprintf("errors[%d]", i), seen)...)
	}
	if s.Enabled && len(s.Errors) == 0 {
		problems = append(problems, ignored("errors", "is empty, so nothing is replaced; list the statuses to answer for"))
	}
	if config.HasErrors(problems) {
		return nil, problems
	}
	return &rule{s}, problems
}

// settle brings the status under its one name and checks the answer.
func (a *Answer) settle(field string, seen map[int]bool) (problems []config.Problem) {
	invalid := func(key, format string, args ...any) {
		problems = append(problems, definition.Invalid(field+key, format, args...))
	}
	for _, other := range []int{a.Status, a.Code} {
		if other == 0 {
			continue
		}
		if a.StatusCode != 0 && a.StatusCode != other {
			invalid("", "gives two statuses, %d and %d; keep one of statusCode, status and code", a.StatusCode, other)
			return problems
		}
		a.StatusCode = other
	}
	switch {
	case a.StatusCode == 0:
		invalid(".statusCode", "is missing; write the status to answer for, such as 404")
	case a.StatusCode < 200 || a.StatusCode > 599:
		invalid(".statusCode", "%d is not a final HTTP status", a.StatusCode)
	case bodiless(a.StatusCode):
		invalid(".statusCode", "an answer with status %d has no body", a.StatusCode)
	case seen[a.StatusCode]:
		problems = append(problems, ignored(field, fmt.Sprintf("has no effect: an entry before it is for status %d too", a.StatusCode)))
	case a.Body != "" && a.File != "":
		problems = append(problems, ignored(field+".file", "has no effect beside body"))
	}
	if strings.ContainsRune(a.File, 0) {
		invalid(".file", "is not the name of a file")
	}
	seen[a.StatusCode] = true
	return problems
}

func ignored(field, message string) config.Problem {
	p := definition.Invalid(field, "%s", message)
	p.Reason, p.Severity = config.ReasonIgnored, config.SeverityWarning
	return p
}

// bodiless tells the statuses that never have a body (RFC 9110 §15).
func bodiless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusResetContent || status == http.StatusNotModified
}

type rule struct{ settings Settings }

// Handler implements definition.Rule.
func (e *rule) Handler(b definition.Build, next http.Handler) (http.Handler, error) {
	if !e.settings.Enabled || len(e.settings.Errors) == 0 {
		return next, nil
	}
	h := &handler{pages: map[int]*page{}, next: next}
	for i, a := range e.settings.Errors {
		if h.pages[a.StatusCode] != nil {
			continue
		}
		p, err := compile(b, e.settings.ContentType, a)
		if err != nil {
			return nil, fmt.Errorf("rule.errors[%d].file: %w", i, err)
		}
		count, release := b.Counters.Get(intercepted, b.Route.Name, fmt.Sprint(a.StatusCode))
		b.Track(release)
		p.count = count
		h.pages[a.StatusCode] = p
	}
	return h, nil
}

type handler struct {
	pages map[int]*page
	next  http.Handler
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if untouched(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	out := &writer{ResponseWriter: w, h: h, r: r}
	defer out.settle()
	h.next.ServeHTTP(out, r)
	out.head() // an answer that is all empty has no head yet
}

// untouched tells the requests whose answers are left alone whatever their status:
// those without a body, gRPC, upgrades and streams of events.
func untouched(r *http.Request) bool {
	return r.Method == http.MethodHead || r.Header.Get("Upgrade") != "" ||
		strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), "application/grpc") ||
		strings.HasPrefix(strings.ToLower(r.Header.Get("Accept")), "text/event-stream")
}

const reason = "error_intercepted"

// explain says why the client got another body, unless the gateway has said why
// it answered.
func explain(r *http.Request, before string) {
	x := exchange.Of(r)
	if x.Reason = before; before == "" {
		x.Reason = reason
	}
}
