// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package circuitbreaker

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// observer reports the final head as soon as it is there, so that a long stream
// does not keep its turn, and hides nothing of the writer below. H8
type observer struct {
	http.ResponseWriter

	h        *handler
	turn     turn
	began    time.Time
	reported bool
}

// report tells the breaker of the final head, once.
func (o *observer) report(status int) {
	if o.reported {
		return
	}
	o.reported = true
	now, result := time.Now(), success
	if o.h.fails(status, now.Sub(o.began)) {
		result = failure
	}
	o.h.breaker.report(o.turn, result, now)
}

// end reports a request that ended without a head, or that broke off. A client
// that goes away is no failure of the backend.
func (o *observer) end(r *http.Request, finished bool) {
	switch {
	case finished:
		o.report(http.StatusOK)
	case errors.Is(context.Cause(r.Context()), context.Canceled):
		if !o.reported {
			o.h.breaker.report(o.turn, unknown, time.Now())
		}
	default:
		o.h.breaker.report(o.turn, failure, time.Now())
	}
	o.reported = true
}

// Unwrap lets http.ResponseController reach the writer below.
func (o *observer) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// WriteHeader implements http.ResponseWriter. Informational heads pass.
func (o *observer) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		o.report(status)
	}
	o.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (o *observer) Write(p []byte) (int, error) {
	o.report(http.StatusOK)
	return o.ResponseWriter.Write(p)
}

// ReadFrom lets the writer below take a body as it can best.
func (o *observer) ReadFrom(src io.Reader) (int64, error) {
	o.report(http.StatusOK)
	return io.Copy(o.ResponseWriter, src)
}

// Flush implements http.Flusher.
func (o *observer) Flush() { _ = o.FlushError() }

// FlushError is Flush for http.ResponseController.
func (o *observer) FlushError() error {
	o.report(http.StatusOK)
	return http.NewResponseController(o.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (o *observer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(o.ResponseWriter).Hijack()
	if err == nil {
		o.report(http.StatusSwitchingProtocols)
	}
	return conn, buffer, err
}
