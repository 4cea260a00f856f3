// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// The least that a client must take or send, in bytes per second, once it has used
// up one timeout of waiting. A body of unknown length may be a stream with pauses.
const (
	minRate       = 240
	minStreamRate = 1
)

// drainTimeout is how long the rest of a body that nobody wanted may take.
const drainTimeout = 5 * time.Second

// pace says how long the client may take for the next step of a body: never more
// than the limit at once, and in all no more than the limit and what the bytes so
// far have earned. So a stalled client is cut, a trickling one too, and a long
// transfer never. Time that the backend takes does not count. H9, H10
type pace struct {
	limit time.Duration
	rate  int64 // bytes per second; 0 for no least rate

	waited time.Duration
	moved  int64
}

// next gives the time for the next step; nothing is left when it is not positive.
func (p *pace) next() time.Duration {
	if p.rate == 0 {
		return p.limit
	}
	earned := time.Duration(p.moved/p.rate) * time.Second
	return min(p.limit, p.limit+earned-p.waited)
}

func (p *pace) note(n int, took time.Duration) {
	p.moved += int64(n)
	p.waited += took
}

// transfer writes the answer of one request and reads its body, each step with a
// deadline. HTTP/2 acts on a deadline when it passes, HTTP/1 only at the next
// read or write; so for HTTP/2 there is none between two steps.
type transfer struct {
	http.ResponseWriter

	control     *http.ResponseController
	entry       *EntryPoint
	conn        net.Conn
	multiplexed bool
	in          *requestBody // nil when the request has no body

	pace   pace
	headed bool // the final head was written
	tunnel bool
}

// Unwrap lets http.ResponseController reach the writer below.
func (t *transfer) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (t *transfer) WriteHeader(status int) {
	if status >= http.StatusOK {
		t.head()
		t.ResponseWriter.WriteHeader(status)
		return
	}
	defer t.step()(0) // informational heads are sent at once
	t.ResponseWriter.WriteHeader(status)
}

// head comes before the final head of the answer. It says goodbye, where it is
// time for that or where nobody can tell what would follow the request. H4
func (t *transfer) head() {
	if t.headed {
		return
	}
	t.headed = true
	last := t.entry.retired.Load()
	if t.in != nil && !t.multiplexed && t.in.answered() {
		_ = t.control.EnableFullDuplex()
		last = true
	}
	if last {
		t.Header().Set("Connection", "close") // in HTTP/2 it makes a GOAWAY
	}
}

// Write implements io.Writer.
func (t *transfer) Write(p []byte) (n int, err error) {
	t.head()
	done := t.step()
	n, err = t.ResponseWriter.Write(p)
	done(n)
	return n, err
}

// FlushError sends what there is.
func (t *transfer) FlushError() error {
	t.head()
	defer t.step()(0)
	return t.control.Flush()
}

// Flush implements http.Flusher.
func (t *transfer) Flush() { _ = t.FlushError() }

// step begins a write; the result ends it.
func (t *transfer) step() (done func(n int)) {
	began := time.Now()
	_ = t.control.SetWriteDeadline(began.Add(t.pace.next())) // no deadline where there can be none
	return func(n int) {
		t.pace.note(n, time.Since(began))
		if t.multiplexed {
			_ = t.control.SetWriteDeadline(time.Time{})
		}
	}
}

// Hijack hands the connection over, and waits for its end in a drain. The handler
// that takes it must not return before it is done with it.
func (t *transfer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	t.entry.tunnels.add(t.conn)
	conn, buffer, err := t.control.Hijack()
	if err != nil {
		t.entry.tunnels.remove(t.conn)
		return nil, nil, err
	}
	t.tunnel = true
	return conn, buffer, nil
}

// end is when the handler is done; the server then sends what it holds, and reads
// the rest of the request.
func (t *transfer) end() {
	if t.tunnel {
		t.entry.tunnels.remove(t.conn)
		return
	}
	t.head() // of an answer without a body
	if t.in != nil {
		t.in.end()
	}
	_ = t.control.SetWriteDeadline(time.Now().Add(max(t.pace.next(), time.Second)))
}

// requestBody is the body of a request. It may be read in another goroutine than
// the handler's, even when the handler is done, which then has no effect.
type requestBody struct {
	io.ReadCloser

	control     *http.ResponseController
	multiplexed bool

	mu sync.Mutex

	pace pace
	// begun: it was read. eof, failed: how that ended.
	begun, eof, failed bool
	// ended: the handler is done.
	ended bool
}

func newRequestBody(t *transfer, r *http.Request, limit time.Duration) *requestBody {
	b := &requestBody{ReadCloser: r.Body, control: t.control, multiplexed: t.multiplexed, pace: pace{limit: limit, rate: minRate}}
	if r.ContentLength < 0 {
		b.pace.rate = minStreamRate
	}
	if b.multiplexed && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		// Calls may be silent for hours; dead clients are found by pings.
		b.pace = pace{limit: silence}
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
	next := b.pace.next()
	if next <= 0 {
		return time.Time{}, os.ErrDeadlineExceeded
	}
	began, b.begun = time.Now(), true
	if !b.eof {
		_ = b.control.SetReadDeadline(began.Add(next))
	}
	return began, nil
}

// done takes the deadline away where the server goes on reading by itself: at the
// end of an HTTP/1 body to notice that the client has gone, in HTTP/2 always.
func (b *requestBody) done(n int, err error, took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pace.note(n, took)
	ended := errors.Is(err, io.EOF)
	b.eof = b.eof || ended
	b.failed = b.failed || err != nil && !ended
	if !b.ended && (b.eof || b.multiplexed && err == nil) {
		_ = b.control.SetReadDeadline(time.Time{})
	}
}

// answered is called before the head of an HTTP/1 answer. It tells whether the
// body has been read in part: then answer and body may overlap, and neither waits
// for the other. A body that nobody has begun to read is read by the server before
// it answers, up to a bound.
func (b *requestBody) answered() (overlaps bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.eof {
		return false
	}
	if !b.begun {
		_ = b.control.SetReadDeadline(time.Now().Add(drainTimeout))
	}
	return b.begun
}

// end is when the handler is done. The server reads the rest, up to a bound, so
// that what the client still sends does not cost it the answer.
func (b *requestBody) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	if b.eof || b.multiplexed {
		return
	}
	deadline := time.Now()
	if !b.failed {
		deadline = deadline.Add(drainTimeout)
	}
	_ = b.control.SetReadDeadline(deadline)
}
