// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/limit"
)

// The least that a client must take or send, in bytes per second, once it has used
// up one timeout of waiting. A body of unknown length may be a stream with pauses.
const (
	minRate       = 240
	minStreamRate = 1
)

// transfer writes the answer of one request of HTTP/2 and reads its body, each step
// with a deadline. HTTP/2 acts on a deadline when it passes; so there is none
// between two steps.
type transfer struct {
	http.ResponseWriter

	control *http.ResponseController
	in      *requestBody // nil when the request has no body

	pace limit.Pace
}

// Unwrap lets http.ResponseController reach the writer below.
func (t *transfer) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (t *transfer) WriteHeader(status int) {
	if status >= http.StatusOK {
		t.ResponseWriter.WriteHeader(status)
		return
	}
	defer t.step()(0) // informational heads are sent at once
	t.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (t *transfer) Write(p []byte) (n int, err error) {
	done := t.step()
	n, err = t.ResponseWriter.Write(p)
	done(n)
	return n, err
}

// FlushError sends what there is.
func (t *transfer) FlushError() error {
	defer t.step()(0)
	return t.control.Flush()
}

// Flush implements http.Flusher.
func (t *transfer) Flush() { _ = t.FlushError() }

// step begins a write; the result ends it.
func (t *transfer) step() (done func(n int)) {
	began := time.Now()
	_ = t.control.SetWriteDeadline(began.Add(t.pace.Next())) // no deadline where there can be none
	return func(n int) {
		t.pace.Note(n, time.Since(began))
		_ = t.control.SetWriteDeadline(time.Time{})
	}
}

// end is when the handler is done; the server then sends what it holds.
func (t *transfer) end() {
	if t.in != nil {
		t.in.end()
	}
	_ = t.control.SetWriteDeadline(time.Now().Add(max(t.pace.Next(), time.Second)))
}

// requestBody is the body of a request. It may be read in another goroutine than
// the handler's, even when the handler is done, which then has no effect.
type requestBody struct {
	io.ReadCloser

	control *http.ResponseController

	mu sync.Mutex

	pace limit.Pace
	// eof: it was read to its end. ended: the handler is done.
	eof, ended bool
	received   int64
}

func newRequestBody(t *transfer, r *http.Request, most time.Duration) *requestBody {
	b := &requestBody{ReadCloser: r.Body, control: t.control, pace: limit.Pace{Limit: most, Rate: minRate}}
	if r.ContentLength < 0 {
		b.pace.Rate = minStreamRate
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		// Calls may be silent for hours; dead clients are found by pings.
		b.pace = limit.Pace{Limit: silence}
	}
	return b
}

// silence stands for no limit.
const silence = 365 * 24 * time.Hour

// Read implements io.Reader.
func (b *requestBody) Read(p []byte) (int, error) {
	began, err := b.begin()
	if err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	b.done(n, err, time.Since(began))
	return n, err
}

func (b *requestBody) begin() (began time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return time.Time{}, http.ErrBodyReadAfterClose
	}
	next := b.pace.Next()
	if next <= 0 {
		return time.Time{}, os.ErrDeadlineExceeded
	}
	began = time.Now()
	if !b.eof {
		_ = b.control.SetReadDeadline(began.Add(next)) // no deadline where there can be none
	}
	return began, nil
}

// done takes the deadline away, since the server goes on reading by itself.
func (b *requestBody) done(n int, err error, took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pace.Note(n, took)
	b.received += int64(n)
	b.eof = b.eof || errors.Is(err, io.EOF)
	if !b.ended && (b.eof || err == nil) {
		_ = b.control.SetReadDeadline(time.Time{})
	}
}

// end is when the handler is done.
func (b *requestBody) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}

// Received gives how many bytes were read.
func (b *requestBody) Received() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.received
}
