// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"net/url"
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
	e, err := h.cluster.Pick(r)
	if err != nil {
		fail(w, r, x, err)
		return
	}
	if upgrade := upgradeToken(r); upgrade != "" || e.SpeaksHTTP1() {
		h.overHTTP1(w, r, x, e, upgrade)
		return
	}
	early := newInformer(w, r)
	ctx, cancel := context.WithCancel(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got1xxResponse: early.pass}))
	defer cancel()
	began := choose(x, e)
	out, body := h.outgoing(ctx, r, e, x)
	resp, err := e.RoundTrip(out)
	x.UpstreamTook = time.Since(began)
	early.end()
	switch {
	case err != nil:
		fail(w, r, x, body.blame(err))
	case resp.StatusCode < http.StatusOK:
		_ = resp.Body.Close()
		fail(w, r, x, errNoStatus)
	default:
		relay(w, r, x, resp)
	}
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
