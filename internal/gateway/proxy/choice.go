// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/downstream"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/http1"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"
)

// streamed is a request of which no *http.Request was made, as the choice of an
// endpoint sees it: the same as it would see of that.
type streamed downstream.Stream

var _ upstream.Request = (*streamed)(nil)

func (q *streamed) stream() *downstream.Stream { return (*downstream.Stream)(q) }

// next gives the value of the next field with a name, from the one numbered at.
func (q *streamed) next(name string, at int) (value string, after int, ok bool) {
	s := q.stream()
	for i := at; i < len(s.Head.Fields); i++ {
		f := &s.Head.Fields[i]
		if is := f.Name.In(s.Text); len(is) != len(name) || !strings.EqualFold(is, name) {
			continue
		}
		if http1.Forged(f.ID, name, s.Exchange().PeerTrusted) {
			continue
		}
		// What the client's Connection lists is for nobody behind the gateway. P7
		if f.ID.HopByHop() || !s.Head.EndsHereIn(s.Text, f) {
			return f.Value.In(s.Text), i + 1, true
		}
	}
	return "", 0, false
}

// Field implements upstream.Request.
func (q *streamed) Field(name string) string {
	if name == "Host" {
		return q.stream().Exchange().Host
	}
	value, _, _ := q.next(name, 0)
	return value
}

// Cookie implements upstream.Request.
func (q *streamed) Cookie(name string) string {
	for line, at, ok := q.next("Cookie", 0); ok; line, at, ok = q.next("Cookie", at) {
		if value, ok := upstream.CookieIn(line, name); ok {
			return value
		}
	}
	return ""
}

// Query implements upstream.Request.
func (q *streamed) Query() string {
	_, query, _ := strings.Cut(q.stream().Target(), "?")
	return query
}

// Path implements upstream.Request.
func (q *streamed) Path() string { return q.stream().Exchange().Path }

// Client implements upstream.Request.
func (q *streamed) Client() netip.Addr { return q.stream().Exchange().ClientIP }

// elsewhere gives another endpoint for a request that could not be sent for want of
// a connection: none has got anything of it, so that is safe for every method. U3
func (h *handler) elsewhere(q upstream.Request, e *upstream.Endpoint, err error) *upstream.Endpoint {
	if err == nil {
		return nil
	}
	if _, unconnected := errors.AsType[*upstream.ConnectError](err); !unconnected || errors.Is(err, exchange.ErrClientGone) {
		return nil
	}
	return h.cluster.Instead(q, e)
}

// note tells an endpoint what came of a request. What the client is to blame for, or
// a limit of the gateway, says nothing about the endpoint.
func note(e *upstream.Endpoint, status int, err error, gone bool) {
	if err == nil {
		e.Note(status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout)
		return
	}
	_, body := errors.AsType[*errBody](err)
	_, write := errors.AsType[*errWrite](err)
	ours := errors.Is(err, upstream.ErrBusy) || errors.Is(err, upstream.ErrForbidden) || errors.Is(err, exchange.ErrClientGone) || errors.Is(err, errLoop)
	if !gone && !body && !write && !ours {
		e.Note(true)
	}
}
