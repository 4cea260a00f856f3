// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// statusClientGone is logged when the client went away before there was an answer.
const statusClientGone = 499

// Observer sees every request of an entry point from its head to its end.
type Observer struct {
	log    *Log
	panics atomic.Uint64
	// sampling is the share of lines that are left out, of all numbers of 32 bits.
	sampling atomic.Uint64
	tracer   *Tracer
}

// NewObserver writes the access log, and reports panics, to log. Tracer may be nil.
func NewObserver(log *Log, tracer *Tracer) *Observer { return &Observer{log: log, tracer: tracer} }

// Panics counts the requests that ended in a panic of the gateway.
func (o *Observer) Panics() uint64 { return o.panics.Load() }

// Wrap gives next with headers, access log and counting. A panic in next is a 500
// for that request, or an aborted answer if it had begun: never a clean end, and
// never the end of the process.
func (o *Observer) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchange.Of(r)
		if x.Start.IsZero() {
			x.Start = time.Now()
		}
		rw := &response{ResponseWriter: w, requestID: x.RequestID}
		defer o.finish(rw, r, x)
		next.ServeHTTP(rw, r)
	})
}

// finish is deferred by Wrap, so that it sees panics.
func (o *Observer) finish(w *response, r *http.Request, x *exchange.Exchange) {
	p := recover()
	abort := p != nil
	if p != nil && p != http.ErrAbortHandler { //nolint:errorlint // this value is compared by identity
		o.panicked(r, x, p)
		if w.status == 0 {
			abort = false
			reply.Error(w, r, http.StatusInternalServerError, "")
		}
	}
	if abort {
		x.Flags |= exchange.Aborted
	}
	status := w.status
	if status == 0 {
		status = implied(r, abort)
	}
	o.done(w, r, x, status)
	if abort {
		panic(http.ErrAbortHandler)
	}
}

func (o *Observer) panicked(r *http.Request, x *exchange.Exchange, p any) {
	o.panics.Add(1)
	x.Reason = "panic"
	o.log.LogAttrs(r.Context(), slog.LevelError, "panic while serving a request",
		slog.String("request_id", x.RequestID), slog.String("route", x.Route),
		slog.String("err", clip(fmt.Sprint(p), maxValueBytes)), slog.String("stack", string(debug.Stack())))
}

// done counts, traces and logs a request.
func (o *Observer) done(w *response, r *http.Request, x *exchange.Exchange, status int) {
	q := request{
		x: x, method: r.Method, proto: r.Proto, host: r.Host, path: x.Path, referer: r.Referer(), agent: r.UserAgent(),
		status: status, took: time.Since(x.Start), sent: w.bytes,
	}
	if body, ok := r.Body.(interface{ Received() int64 }); ok {
		q.received = body.Received()
	}
	if q.path == "" {
		q.path = r.URL.EscapedPath()
	}
	o.count(&q)
	o.trace(&q)
	if !o.logs(status) {
		return
	}
	var extra []slog.Attr
	if x.LogFields != nil {
		extra = x.LogFields(r)
	}
	if !o.log.enabled(slog.LevelDebug) {
		o.access(&q, nil, extra)
		return
	}
	o.access(&q, &details{
		length: r.ContentLength, query: r.URL.RawQuery, request: r.Header, response: w.Header(),
	}, extra)
}

// implied is the status of a request that nobody wrote a head for.
func implied(r *http.Request, aborted bool) int {
	switch {
	case r.Context().Err() != nil:
		return statusClientGone
	case aborted:
		return http.StatusBadGateway
	}
	return http.StatusOK
}
