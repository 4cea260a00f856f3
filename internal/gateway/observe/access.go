// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

const (
	accessMessage = "Proxied request"
	// maxValueBytes bounds what a client can write into one field.
	maxValueBytes = 1024
)

// AccessFields are the names of the fields that the gateway itself may write into a
// line of the access log.
var AccessFields = []string{
	slog.TimeKey, slog.LevelKey, slog.MessageKey, slog.SourceKey,
	"request_id", "method", "url", "http_version", "host", "client_ip", "referer", "status", "duration", "route", "user_agent",
	"backend", "upstream_path", "upstream_duration", "reason", "flags", "trace_id",
	"request_content_length", "response_body_size", "request_headers", "query_params", "response_headers",
}

// request is what the access log and traces tell of a request, wherever it was
// served.
type request struct {
	x *exchange.Exchange

	method, proto, host, path, referer, agent string

	status         int
	took           time.Duration
	received, sent int64
}

// details are what the access log adds at debug.
type details struct {
	length            int64
	query             string
	request, response http.Header
}

func levelOf(status int) slog.Level {
	switch {
	case status >= 500:
		return slog.LevelError
	case status >= 400:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// SetSampling has only a share of the requests that went well logged; all others
// always are.
func (o *Observer) SetSampling(share float64) {
	o.sampling.Store(uint64(min(max(1-share, 0), 1) * math.MaxUint32))
}

// logs tells whether a line is written for a request that ended with a status.
func (o *Observer) logs(status int) bool {
	level := levelOf(status)
	if !o.log.enabled(level) {
		return false
	}
	if skip := o.sampling.Load(); skip > 0 && level < slog.LevelWarn {
		return uint64(rand.Uint32()) >= skip //nolint:gosec // a sample is no secret
	}
	return true
}

// access writes the line of a request. The path is the one that was matched, with
// what the endpoint was asked for beside it; the query is left out, since it may hold
// credentials. It makes no garbage but for details and extra fields.
func (o *Observer) access(q *request, more *details, extra []slog.Attr) {
	x := q.x
	l := begin(o.log.json, x.Start.Add(q.took), levelOf(q.status), accessMessage)
	l.text("request_id", x.RequestID)
	l.text("method", clip(q.method, 32))
	l.text("url", clip(q.path, maxValueBytes))
	l.text("http_version", q.proto)
	l.text("host", clip(q.host, 256))
	l.address("client_ip", x.ClientIP)
	l.text("referer", clip(withoutQuery(q.referer), maxValueBytes))
	l.number("status", int64(q.status))
	l.milliseconds("duration", q.took)
	l.text("route", x.Route)
	l.text("user_agent", clip(q.agent, maxValueBytes))
	l.backend(x)
	if more != nil {
		l.number("request_content_length", more.length)
		l.number("response_body_size", q.sent)
		l.headers("request_headers", more.request)
		l.text("query_params", redactQuery(more.query))
		l.headers("response_headers", more.response)
	}
	for i, f := range extra {
		// Readers of JSON take the last of two, and a client must not write over what
		// the gateway says.
		if !slices.Contains(AccessFields, f.Key) && !slices.ContainsFunc(extra[:i], func(a slog.Attr) bool { return a.Key == f.Key }) {
			l.text(f.Key, clip(f.Value.String(), maxValueBytes))
		}
	}
	_, _ = o.log.sink.Write(l.end()) // a sink takes everything
	l.free()
}

// backend writes the fields that not every request has.
func (l *line) backend(x *exchange.Exchange) {
	if x.Upstream != "" {
		l.text("backend", x.Upstream)
	}
	if x.UpstreamPath != "" {
		l.joined("upstream_path", clip(x.UpstreamPrefix, maxValueBytes), clip(x.UpstreamPath, maxValueBytes))
	}
	if x.UpstreamTook > 0 {
		l.milliseconds("upstream_duration", x.UpstreamTook)
	}
	if x.Reason != "" {
		l.text("reason", x.Reason)
	}
	if x.Flags != 0 {
		l.text("flags", flagNames[x.Flags&(exchange.Retried|exchange.Upgraded|exchange.Aborted)])
	}
	if x.Span != nil {
		l.key("trace_id")
		l.quoted(x.Span.AppendID)
	}
}

// flagNames are the names of all sets of flags.
var flagNames = [8]string{
	"", "retried", "upgraded", "retried,upgraded", "aborted", "retried,aborted", "upgraded,aborted", "retried,upgraded,aborted",
}

// Field gives a field of the access log, with its value hidden if the name says
// that it may be a credential. B5
func Field(name, key, value string) slog.Attr {
	if sensitive(name) {
		value = "***"
	}
	return slog.String(key, value)
}

// clip shortens s to at most n bytes.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

func withoutQuery(s string) string {
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		return s[:i]
	}
	return s
}

// headers writes headers in a fixed order, with those hidden that may hold
// credentials.
func (l *line) headers(key string, h http.Header) {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	l.open(key)
	for _, name := range names {
		value := strings.Join(h[name], ", ")
		if sensitive(name) {
			value = "***"
		}
		l.text(clip(name, 256), clip(value, maxValueBytes))
	}
	l.close()
}
