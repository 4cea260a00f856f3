// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package exchange holds what the gateway knows about one request on its way
// through: who the client is, what was matched, where it went. It is filled once
// at the entry point, so that route table, middlewares, proxy and access log all
// see the same client address, scheme and path.
package exchange

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"
)

// Exchange is one request and its answer. It belongs to the request's goroutine.
type Exchange struct {
	// ClientIP is the derived client address: the peer, or the right-most
	// untrusted entry of the forwarded chain when the peer is a trusted proxy.
	ClientIP netip.Addr
	// PeerIP is the other end of the connection.
	PeerIP netip.Addr
	// PeerTrusted says that forwarded headers of this peer are believed.
	PeerTrusted bool
	// Upgrades are the protocols beside websocket that the client's connection may
	// change to, as they are configured.
	Upgrades []string
	// Scheme is http or https, as the client sees it.
	Scheme string
	// Host is the canonical host: lower case, no trailing dot, with the port
	// only if the client sent one.
	Host string
	// Path is the normal form of the escaped path: what is matched and sent.
	Path string
	// RequestID is the client's X-Request-ID when valid, else 32 hex digits.
	RequestID string
	// ClientRequestID is the valid X-Request-ID the client sent, or empty.
	ClientRequestID string

	// Route is the name of the matched route; empty when none matched.
	Route string
	// Allow is set when no route at this host and path admits the method: the
	// header of the 405 that the route's method check answers with.
	Allow string
	// Avoid are endpoints, as in Upstream, that have failed this request already: it
	// goes to another one while there is one.
	Avoid []string
	// Meter counts the request once it has been answered; nil counts nothing.
	Meter Meter
	// Upstream is the chosen endpoint, scheme://host:port; empty if none was.
	Upstream string
	// UpstreamPrefix and UpstreamPath, joined, are the path that the endpoint was
	// asked for; empty before a request was made for it.
	UpstreamPrefix, UpstreamPath string
	// UpstreamTook is how long the endpoint let the head of its response wait, with
	// what it took to connect.
	UpstreamTook time.Duration
	// Flags tell what happened on the way.
	Flags Flags
	// Received and Sent are the bytes that passed when the connection was given to
	// another protocol; bodies are counted elsewhere.
	Received, Sent int64
	// Span is the request's place in a trace; nil where nothing is traced.
	Span *Span
	// Hops counts the gateways that the request has come through, with this one.
	Hops int
	// Reason says in one word why the gateway itself answered, or nothing.
	Reason string
	// Claim gives the text of a claim, by its dotted path, of the token that a
	// middleware of the route has verified; nil before, and without one.
	Claim func(path string) (text string, ok bool)
	// Identified says that a middleware of the route has let the request pass for who
	// sent it, even if the request does not show that any more.
	Identified bool
	// LogFields gives fields that the access log of this request has beside its usual
	// ones. It is called once the request has been answered, and only if a line is
	// written; nil adds nothing.
	LogFields func(r *http.Request) []slog.Attr
	// Start is when the head of the request was read.
	Start time.Time
}

// Flags are a set of things that may happen to a request.
type Flags uint8

// The flags.
const (
	// Retried: it was sent to an endpoint more than once.
	Retried Flags = 1 << iota
	// Upgraded: its connection was given to another protocol.
	Upgraded
	// Aborted: its answer broke off.
	Aborted
)

// Meter counts the requests of one route. It is resolved when the route is
// compiled, so that counting looks nothing up.
type Meter interface {
	// Observe counts one request that has been answered.
	Observe(Sample)
}

// Sample is what is counted of a request.
type Sample struct {
	Method string
	// Status is that of the final head.
	Status int
	Took   time.Duration
	// Upstream is how long an endpoint let its response wait; 0 when none was asked.
	Upstream time.Duration
	// Received and Sent are the bytes of the bodies, and of what was tunnelled.
	Received, Sent int64
	// Client is whose country is counted, where countries are.
	Client netip.Addr
}

type key struct{}

// With returns ctx carrying x.
func With(ctx context.Context, x *Exchange) context.Context {
	return context.WithValue(ctx, key{}, x)
}

// Of gives the Exchange of r. A request that did not come through an entry
// point gets an empty one, so callers need no nil check.
func Of(r *http.Request) *Exchange { return From(r.Context()) }

// From gives the Exchange of a request's context, as Of does.
func From(ctx context.Context) *Exchange {
	if i, ok := ctx.(*Interest); ok && i.Exchange != nil {
		return i.Exchange
	}
	if x, ok := ctx.Value(key{}).(*Exchange); ok && x != nil {
		return x
	}
	return &Exchange{}
}
