// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"net/http"
	"strconv"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/downstream"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/http1"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
)

// target is the normal form of a request's target.
type target struct {
	path, query string
	// asked tells that there is a query, though it may be empty.
	asked bool
}

// serveStream brings a request of HTTP/1 into its one form, as ServeHTTP does with
// one of HTTP/2, and has it served: directly where that is possible, else by the
// handler.
func (e *EntryPoint) serveStream(s *downstream.Stream) {
	x := s.Exchange()
	e.identify(x, s.Peer(), s, s.ID)
	t, refused := normaliseStream(x, s)
	if refused == nil && e.misdirected(s.TLS(), x.Host) {
		refused = refuseMisdirected
	}
	if refused != nil {
		w, r := s.HTTP(x.Host, "/", "/", "", false)
		e.wrap(refused).ServeHTTP(w, r)
		return
	}
	handler := e.handler
	if e.direct != nil {
		served, other := e.direct(s, t.query, t.asked)
		if served {
			return
		}
		if other != nil {
			handler = e.wrap(other)
		}
	}
	w, r := s.HTTP(x.Host, t.path, normal.Decode(t.path), t.query, t.asked)
	handler.ServeHTTP(w, r)
}

// normaliseStream gives the request its one form; see normalise.
func normaliseStream(x *exchange.Exchange, s *downstream.Stream) (t target, refused *refusal) {
	if s.Fault != nil {
		return t, faulty(s.Fault)
	}
	method, raw := s.Method(), s.Target()
	if isConnect(method) {
		return t, refuseConnect
	}
	host := s.Head.Host.In(s.Text)
	raw, t.query, t.asked = strings.Cut(raw, "?")
	path, authority, ok := split(raw)
	if authority != "" {
		host = authority // RFC 9112 §3.2.2
	}
	if host != "" || s.Head.Minor > 0 {
		var err error
		if x.Host, err = normal.Host(host); err != nil {
			return t, refuseHost
		}
	}
	if raw == "*" && method == http.MethodOptions {
		x.Path = "*"
		return t, answerOptions
	}
	if !ok || strings.IndexByte(t.query, '#') >= 0 {
		return t, refusePath
	}
	var err error
	if t.path, err = normal.Path(path); err != nil {
		return t, refusePath
	}
	x.Path = t.path
	return t, nil
}

// split parts a target without its query: in origin form it is a path, in absolute
// form it has an authority. User information has no meaning there.
func split(raw string) (path, authority string, ok bool) {
	if strings.HasPrefix(raw, "/") {
		return raw, "", true
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return "", "", false
	}
	authority = rest
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		authority = authority[i+1:]
	}
	return path, authority, authority != ""
}

// faulty answers a request that could not be read. Its text holds nothing that the
// client has sent.
func faulty(err *http1.Error) *refusal {
	reason := "malformed"
	switch err {
	case http1.ErrLineTooLong:
		reason = refuseTarget.reason
	case http1.ErrTooManyFields:
		reason = refuseFields.reason
	}
	status := strconv.Itoa(err.Status) + " " + strings.ToLower(http.StatusText(err.Status))
	return &refusal{status: err.Status, reason: reason, message: status + ": " + err.Error()}
}
