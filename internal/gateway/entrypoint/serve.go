// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"net/http"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/http1"
	"gateway.jkaninda.dev/goma/internal/gateway/limit"
)

// ServeHTTP brings a request of HTTP/2 into its one form and hands it on. A request
// that has none goes no further than the log.
func (e *EntryPoint) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.serve(w, r, nil) }

// serveTooLarge answers a request of which only the beginning of its head was taken.
func (e *EntryPoint) serveTooLarge(w http.ResponseWriter, r *http.Request) {
	e.serve(w, r, refuseFields)
}

func (e *EntryPoint) serve(w http.ResponseWriter, r *http.Request, refused *refusal) {
	s := e.settings.Load()
	x := &exchange.Exchange{Start: time.Now()}
	conn := connOf(r.Context())
	if conn != nil {
		r.TLS = conn.state
	}
	e.identify(x, peerOf(r), r.Header, newID)
	http1.DropForged(r.Header, x.PeerTrusted)
	t := e.transfer(w, r, s)
	defer t.end()
	r = withExchange(r, x)
	if t.in != nil {
		r.Body = t.in
	}
	if refused == nil {
		refused = normalise(x, r)
	}
	if refused == nil && e.misdirected(r.TLS, x.Host) {
		refused = refuseMisdirected
	}
	if conn != nil && refused == nil {
		weight := headBytes(r)
		defer conn.heads.Add(-weight)
		if conn.heads.Add(weight) > maxHeadsBytes {
			refused = refuseHeads
		}
	}
	if refused != nil {
		e.wrap(refused).ServeHTTP(t, r)
		return
	}
	e.handler.ServeHTTP(t, r)
}

// withExchange gives a request its Exchange; its context has a place for one.
func withExchange(r *http.Request, x *exchange.Exchange) *http.Request {
	if i, ok := r.Context().(*exchange.Interest); ok {
		i.Exchange = x
		return r
	}
	return r.WithContext(exchange.With(r.Context(), x))
}

// transfer guards the bodies of a request and its answer.
func (e *EntryPoint) transfer(w http.ResponseWriter, r *http.Request, s *settings) *transfer {
	t := &transfer{
		ResponseWriter: w, control: http.NewResponseController(w),
		pace: limit.Pace{Limit: s.write, Rate: minRate},
	}
	if r.Body != nil && r.Body != http.NoBody {
		t.in = newRequestBody(t, r, s.read)
	}
	return t
}
