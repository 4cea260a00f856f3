// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/downstream"
)

// Served counts and logs a request that was served from the client's own
// connection, as Wrap does with others.
func (o *Observer) Served(s *downstream.Stream) {
	x := s.Exchange()
	took := time.Since(x.Start)
	status := s.Status()
	if x.Meter != nil {
		x.Meter.Observe(s.Method(), status, took)
	}
	if !o.log.Enabled(s.Interest(), levelOf(status)) {
		return
	}
	r := &http.Request{
		Method: s.Method(), Host: x.Host, Proto: "HTTP/1." + strconv.Itoa(int(s.Head.Minor)), ContentLength: s.Head.Length,
		URL: &url.URL{Path: x.Path, RawPath: x.Path}, Header: http.Header{},
	}
	for i := range s.Head.Fields {
		f := &s.Head.Fields[i]
		r.Header.Add(f.Name.In(s.Text), f.Value.In(s.Text))
	}
	o.access(&response{ResponseWriter: nowhere{}, status: status, bytes: s.Sent()}, r, x, status, took)
}

// nowhere is the header of an answer that is no more.
type nowhere struct{ http.ResponseWriter }

// Header implements http.ResponseWriter.
func (nowhere) Header() http.Header { return nil }

func levelOf(status int) slog.Level {
	switch {
	case status >= 500:
		return slog.LevelError
	case status >= 400:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}
