// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"net/http"
	"net/textproto"
	"net/url"
	"sync"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"

	"net/http/httptrace"
)

// Options say what is proxied where.
type Options struct {
	Route   *config.Route
	Cluster *upstream.Cluster
}

// New makes the handler at the end of a route's chain.
func New(o Options) http.Handler {
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
		x.Reason = "no_endpoint"
		reply.Error(w, r, http.StatusServiceUnavailable, "503 service unavailable")
		return
	}
	x.Upstream = e.String()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	out, body := h.outgoing(ctx, r, e, x)
	early := &informer{w: w}
	out = out.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: early.pass}))
	resp, err := e.RoundTrip(out)
	early.end()
	if err != nil {
		fail(w, r, x, body.blame(err))
		return
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		tunnel(w, r, x, out, resp)
		return
	}
	relay(w, resp)
}

// outgoing makes the request to the endpoint.
func (h *handler) outgoing(ctx context.Context, r *http.Request, e *upstream.Endpoint, x *exchange.Exchange) (*http.Request, *requestBody) {
	escaped := e.Path() + h.rewrite.apply(r.URL.EscapedPath())
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
	body := &requestBody{src: r.Body}
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		out.Body = http.NoBody
	} else {
		out.Body = body
		out.Trailer = body.follow(r)
	}
	return out.WithContext(ctx), body
}

// informer passes informational responses on, until the final one is there.
type informer struct {
	w http.ResponseWriter

	mu    sync.Mutex
	ended bool
	count int
}

// maxInformational bounds how many a backend may send. H7
const maxInformational = 16

func (i *informer) pass(code int, header textproto.MIMEHeader) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.count++; i.count > maxInformational {
		return errTooMany
	}
	// 100 and 102 concern the hop to the backend alone: the client's 100 is sent
	// when its body is first read.
	if i.ended || code == http.StatusContinue || code == http.StatusProcessing {
		return nil
	}
	h := i.w.Header()
	saved := h.Clone()
	for name, values := range header {
		if !endsHere(name, nil) {
			h[name] = values
		}
	}
	i.w.WriteHeader(code)
	clear(h)
	for name, values := range saved {
		h[name] = values
	}
	return nil
}

func (i *informer) end() {
	i.mu.Lock()
	i.ended = true
	i.mu.Unlock()
}
