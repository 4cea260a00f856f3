// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/downstream"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// Served counts and logs a request that was served from the client's own
// connection, as Wrap does with others.
func (o *Observer) Served(s *downstream.Stream) {
	x := s.Exchange()
	q := request{
		x: x, method: s.Method(), proto: "HTTP/1.1", host: x.Host, path: x.Path,
		status: s.Status(), took: time.Since(x.Start), received: s.Received(), sent: s.Sent(),
	}
	o.count(&q)
	logs := o.logs(q.status)
	if !logs && x.Span == nil {
		return
	}
	if s.Head.Minor == 0 {
		q.proto = "HTTP/1.0"
	}
	for i := range s.Head.Fields {
		f := &s.Head.Fields[i]
		switch name := f.Name.In(s.Text); len(name) {
		case len("Referer"):
			if strings.EqualFold(name, "Referer") {
				q.referer = f.Value.In(s.Text)
			}
		case len("User-Agent"):
			if strings.EqualFold(name, "User-Agent") {
				q.agent = f.Value.In(s.Text)
			}
		}
	}
	o.trace(&q)
	if !logs {
		return
	}
	if !o.log.enabled(slog.LevelDebug) {
		o.access(&q, nil, nil)
		return
	}
	o.access(&q, streamDetails(s), nil)
}

func streamDetails(s *downstream.Stream) *details {
	d := &details{length: s.Head.Length, request: http.Header{}}
	_, d.query, _ = strings.Cut(s.Target(), "?")
	for i := range s.Head.Fields {
		f := &s.Head.Fields[i]
		d.request.Add(f.Name.In(s.Text), f.Value.In(s.Text))
	}
	return d
}

// count counts a request.
func (o *Observer) count(q *request) {
	x := q.x
	if x.Flags&exchange.Upgraded != 0 {
		q.received, q.sent = q.received+x.Received, q.sent+x.Sent
	}
	if x.Meter == nil {
		return
	}
	x.Meter.Observe(exchange.Sample{
		Method: q.method, Status: q.status, Took: q.took, Upstream: x.UpstreamTook,
		Received: q.received, Sent: q.sent, Client: x.ClientIP,
	})
}
