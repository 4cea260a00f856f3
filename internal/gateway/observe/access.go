// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

const (
	accessMessage = "Proxied request"
	// maxValueBytes bounds what a client can write into one field.
	maxValueBytes = 1024
)

// access writes the line of a request. The path is the one that was matched, not
// what became of it; the query is left out, since it may hold credentials.
func (o *Observer) access(w *response, r *http.Request, x *exchange.Exchange, status int, took time.Duration) {
	level := slog.LevelInfo
	switch {
	case status >= 500:
		level = slog.LevelError
	case status >= 400:
		level = slog.LevelWarn
	}
	ctx := r.Context()
	if !o.log.Enabled(ctx, level) {
		return
	}
	path := x.Path
	if path == "" {
		path = r.URL.EscapedPath()
	}
	client := ""
	if x.ClientIP.IsValid() {
		client = x.ClientIP.String()
	}
	list := make([]slog.Attr, 0, 20)
	list = append(list,
		slog.String("request_id", x.RequestID),
		slog.String("method", clip(r.Method, 32)),
		slog.String("url", clip(path, maxValueBytes)),
		slog.String("http_version", r.Proto),
		slog.String("host", clip(r.Host, 256)),
		slog.String("client_ip", client),
		slog.String("referer", clip(withoutQuery(r.Referer()), maxValueBytes)),
		slog.Int("status", status),
		slog.String("duration", milliseconds(took)),
		slog.String("route", x.Route),
		slog.String("user_agent", clip(r.UserAgent(), maxValueBytes)),
	)
	if x.Upstream != "" {
		list = append(list, slog.String("backend", x.Upstream))
	}
	if x.Reason != "" {
		list = append(list, slog.String("reason", x.Reason))
	}
	if o.log.Enabled(ctx, slog.LevelDebug) {
		list = append(list,
			slog.Int64("request_content_length", r.ContentLength),
			slog.Int64("response_body_size", w.bytes),
			slog.Any("request_headers", headerGroup(r.Header)),
			slog.String("query_params", redactQuery(r.URL.RawQuery)),
			slog.Any("response_headers", headerGroup(w.Header())),
		)
	}
	if x.LogFields != nil {
		list = appendNew(list, x.LogFields(r))
	}
	o.log.LogAttrs(ctx, level, accessMessage, list...)
}

// appendNew adds fields, of each name once: readers of JSON take the last of two,
// and a client must not write over what the gateway says.
func appendNew(list, fields []slog.Attr) []slog.Attr {
	for _, f := range fields {
		if !slices.ContainsFunc(list, func(a slog.Attr) bool { return a.Key == f.Key }) {
			f.Value = slog.StringValue(clip(f.Value.String(), maxValueBytes))
			list = append(list, f)
		}
	}
	return list
}

// Field gives a field of the access log, with its value hidden if the name says
// that it may be a credential. B5
func Field(name, key, value string) slog.Attr {
	if sensitive(name) {
		value = "***"
	}
	return slog.String(key, value)
}

// milliseconds gives 34.10ms.
func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 2, 64) + "ms"
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

// headerGroup gives headers in a fixed order, with those hidden that may hold
// credentials.
func headerGroup(h http.Header) slog.Value {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	list := make([]slog.Attr, 0, len(names))
	for _, name := range names {
		value := strings.Join(h[name], ", ")
		if sensitive(name) {
			value = "***"
		}
		list = append(list, slog.String(name, clip(value, maxValueBytes)))
	}
	return slog.GroupValue(list...)
}

// redactQuery hides the values of parameters that may hold credentials.
func redactQuery(raw string) string {
	if raw == "" {
		return ""
	}
	parts := strings.Split(clip(raw, maxValueBytes), "&")
	for i, part := range parts {
		name, _, ok := strings.Cut(part, "=")
		decoded, err := url.QueryUnescape(name)
		if ok && (err != nil || sensitive(decoded)) {
			parts[i] = name + "=***"
		}
	}
	return strings.Join(parts, "&")
}

// sensitive tells by its name whether a header or parameter may hold a credential.
func sensitive(name string) bool {
	name = strings.ToLower(name)
	for _, part := range []string{
		"auth", "cookie", "token", "secret", "passw", "credential", "session", "signature", "assertion", "jwt", "key",
	} {
		if strings.Contains(name, part) {
			return true
		}
	}
	switch name {
	case "code", "state", "sig", "nonce", "ticket", "otp", "pin", "pass", "pwd", "referer":
		return true
	}
	return false
}
