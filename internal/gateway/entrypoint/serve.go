// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"net"
	"net/http"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// ServeHTTP brings a request into its one form and hands it on. A request that
// has none goes no further than the log.
func (e *EntryPoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := e.settings.Load()
	x := &exchange.Exchange{Start: time.Now()}
	e.identify(s, x, r)
	t := e.transfer(w, r, s)
	defer t.end()
	r = r.WithContext(exchange.With(r.Context(), x))
	if t.in != nil {
		r.Body = t.in
	}
	if refused := normalise(x, r); refused != nil {
		e.wrap(refused).ServeHTTP(t, r)
		return
	}
	e.handler.ServeHTTP(t, r)
}

// transfer guards the bodies of a request and its answer.
func (e *EntryPoint) transfer(w http.ResponseWriter, r *http.Request, s *settings) *transfer {
	conn, _ := r.Context().Value(connKey{}).(net.Conn)
	t := &transfer{
		ResponseWriter: w, control: http.NewResponseController(w), entry: e, conn: conn,
		multiplexed: r.ProtoMajor > 1, pace: pace{limit: s.write, rate: minRate},
	}
	if r.Body != nil && r.Body != http.NoBody {
		t.in = newRequestBody(t, r, s.read)
	}
	return t
}
