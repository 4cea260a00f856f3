// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/downstream"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"
)

// Options say what is proxied where.
type Options struct {
	Route   *config.Route
	Cluster *upstream.Cluster
}

// Handler is the end of a route's chain.
type Handler interface {
	http.Handler
	// Direct serves a request from the client's own connection, if it can: it is
	// false for one that is to be served by ServeHTTP. An answer in place of the
	// backend's is left to the handler that it gives.
	Direct(s *downstream.Stream, query string, asked bool) (served bool, instead http.Handler)
}

// New makes the handler at the end of a route's chain.
func New(o Options) Handler {
	s := o.Route.Security
	return &handler{
		cluster:  o.Cluster,
		rewrite:  newRewriter(o.Route.Path, o.Route.Rewrite),
		keepHost: s == nil || s.ForwardHostHeaders == nil || *s.ForwardHostHeaders,
	}
}

type handler struct {
	cluster  *upstream.Cluster
	rewrite  rewriter
	keepHost bool
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange.Of(r)
	e, err := h.pick(r, x)
	if err != nil {
		fail(w, r, x, err)
		return
	}
	if upgrade := upgradeToken(r, x); upgrade != "" || e.SpeaksHTTP1() {
		h.overHTTP1(w, r, x, e, upgrade)
		return
	}
	h.overTransport(w, r, x, e)
}

// pick chooses an endpoint, and another one in place of an endpoint that has failed
// this request already, while there is one. U3
func (h *handler) pick(r *http.Request, x *exchange.Exchange) (*upstream.Endpoint, error) {
	q := upstream.Of(r)
	e, err := h.cluster.Pick(q)
	if err != nil || !slices.Contains(x.Avoid, e.String()) {
		return e, err
	}
	if other := h.cluster.Instead(q, e); other != nil {
		return other, nil
	}
	return e, nil
}

// overTransport takes a request to an endpoint that speaks HTTP/2, or may, and its
// response back; without a connection to that, to one other.
func (h *handler) overTransport(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, e *upstream.Endpoint) {
	early := newInformer(w, r)
	ctx, cancel := context.WithCancel(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got1xxResponse: early.pass}))
	defer cancel()
	now := time.Now()
	call := callEnd(r, now)
	if deadline := sooner(e.Deadline(now), call); !deadline.IsZero() {
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	resp, err := h.exchange(ctx, r, x, e)
	if other := h.elsewhere(upstream.Of(r), e, err); other != nil && !hasBody(r) {
		again(x, other)
		if other.SpeaksHTTP1() {
			early.end()
			h.overHTTP1(w, r, x, other, "")
			return
		}
		e = other
		resp, err = h.exchange(ctx, r, x, e)
	}
	early.end()
	if err != nil {
		fail(w, r, x, overdue(err, call))
		return
	}
	defer e.Leave()
	if resp.StatusCode < http.StatusOK {
		_ = resp.Body.Close()
		fail(w, r, x, errNoStatus)
		return
	}
	h.relay(w, r, x, e, resp)
}

// exchange sends the request to an endpoint, which the caller leaves unless there is
// an error.
func (h *handler) exchange(ctx context.Context, r *http.Request, x *exchange.Exchange, e *upstream.Endpoint) (*http.Response, error) {
	now := choose(x, e)
	e.Enter()
	out, body := h.outgoing(ctx, r, e, x)
	err := inCircles(x)
	if err == nil {
		var resp *http.Response
		resp, err = e.RoundTrip(out)
		x.UpstreamTook = time.Since(now)
		if err == nil {
			return resp, nil
		}
	}
	e.Leave()
	err = body.blame(err)
	note(e, 0, err, gone(r))
	return nil, err
}

// choose notes the endpoint of a request, and gives the time.
func choose(x *exchange.Exchange, e *upstream.Endpoint) time.Time {
	now := time.Now()
	x.Upstream = e.String()
	if x.Span != nil {
		x.Span.Asked = now
	}
	return now
}

// again notes that a request is sent another time.
func again(x *exchange.Exchange, e *upstream.Endpoint) {
	x.Flags |= exchange.Retried
	e.Retried()
}

// outgoing makes the request to the endpoint.
func (h *handler) outgoing(ctx context.Context, r *http.Request, e *upstream.Endpoint, x *exchange.Exchange) (*http.Request, *requestBody) {
	x.UpstreamPrefix, x.UpstreamPath = e.Path(), h.rewrite.apply(r.URL.EscapedPath())
	escaped := x.UpstreamPrefix + x.UpstreamPath
	out := &http.Request{
		Method: r.Method,
		URL: &url.URL{
			Scheme: e.Scheme(), Host: e.Host(), Path: normal.Decode(escaped), RawPath: escaped,
			RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery,
		},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        requestHeader(r, x),
		ContentLength: r.ContentLength,
		Host:          e.Host(),
	}
	if h.keepHost && r.Host != "" {
		out.Host = r.Host
	}
	out.Close = binds(r.Header)
	body := &requestBody{src: r.Body}
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		out.Body = http.NoBody
	} else {
		out.Body = body
		out.Trailer = body.follow(r)
	}
	return out.WithContext(ctx), body
}
