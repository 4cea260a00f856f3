// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package retry

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// state is what becomes of the answer to an attempt.
type state int

const (
	// undecided is before its final head.
	undecided state = iota
	// passed is the client's answer.
	passed
	// thrown is an answer in whose place another one is asked for.
	thrown
	// replaced is an answer that came too late: the client has another one.
	replaced
)

const (
	// patience is how much of a body that nobody gets is taken, so that the
	// connection to the backend can be used again, and grace how long it may take.
	patience = 16 << 10
	grace    = 20 * time.Millisecond
)

var errThrown = errors.New("the answer has been thrown away")

// writer holds the head of an answer back until its status is known. Beyond that it
// hides nothing of the writer below.
type writer struct {
	http.ResponseWriter

	run    *run
	cancel context.CancelCauseFunc
	timer  *time.Timer
	before http.Header
	state  state
	taken  int
}

// serve makes the attempt. The end of an answer that nobody gets concerns nobody,
// even when it is an abort.
func (w *writer) serve(next http.Handler, r *http.Request) {
	defer func() {
		if w.timer != nil {
			w.timer.Stop()
		}
		if w.state == replaced {
			w.run.x.Reason = timedOut
		}
		if w.state != thrown && w.state != replaced {
			return
		}
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // this value is compared by identity
			panic(p)
		}
	}()
	next.ServeHTTP(w, r)
	if w.state == undecided {
		w.WriteHeader(http.StatusOK)
	}
}

// restore takes out of the head what the attempt had put there.
func (w *writer) restore() {
	h := w.Header()
	clear(h)
	maps.Copy(h, w.before)
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter. Informational heads pass.
func (w *writer) WriteHeader(status int) {
	if w.state != undecided || status < http.StatusOK {
		if w.state == undecided || w.state == passed {
			w.ResponseWriter.WriteHeader(status)
		}
		return
	}
	expired := w.timer != nil && !w.timer.Stop()
	switch {
	case w.run.again(status, w.Header(), expired):
		w.state = thrown
		time.AfterFunc(grace, func() { w.cancel(errThrown) })
	case expired && w.run.r.Context().Err() == nil:
		w.state = replaced
		w.restore()
		w.run.x.Reason = timedOut
		reply.Error(w.ResponseWriter, w.run.r, http.StatusGatewayTimeout, "504 gateway timeout")
		_ = http.NewResponseController(w.ResponseWriter).Flush() // the client may be gone
	default:
		w.state = passed
		w.ResponseWriter.WriteHeader(status)
	}
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if w.state == undecided {
		w.WriteHeader(http.StatusOK)
	}
	if w.state == passed {
		return w.ResponseWriter.Write(p)
	}
	if w.taken += len(p); w.taken > patience {
		return 0, errThrown
	}
	return len(p), nil
}

// ReadFrom lets the writer below take a body as it can best.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	if w.state == undecided {
		w.WriteHeader(http.StatusOK)
	}
	if w.state == passed {
		return io.Copy(w.ResponseWriter, src)
	}
	return io.Copy(struct{ io.Writer }{w}, src)
}

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is Flush for http.ResponseController.
func (w *writer) FlushError() error {
	if w.state == undecided {
		w.WriteHeader(http.StatusOK)
	}
	if w.state != passed {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.state != undecided {
		return nil, nil, http.ErrNotSupported
	}
	if w.timer != nil {
		w.timer.Stop()
	}
	conn, buffer, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.state = passed
	}
	return conn, buffer, err
}
