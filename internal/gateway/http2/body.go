// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"io"
	"net/http"
	"os"
	"time"
)

// body is the body of a request. It may be read in another goroutine than the
// handler's, even when the handler is done, which then has no effect.
type body struct {
	stream  *stream
	trailer http.Header
	// expected: the client waits for a word before it sends the body.
	expected bool
}

// Read implements io.Reader. A client that takes longer than SetReadDeadline allows is
// an os.ErrDeadlineExceeded, one that breaks off an io.ErrUnexpectedEOF.
func (b *body) Read(p []byte) (int, error) {
	st := b.stream
	c := st.conn
	if b.expected {
		st.writer.goOn()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case st.done:
			return 0, http.ErrBodyReadAfterClose
		case len(st.in) > st.read:
			return b.taken(p), nil
		case st.inEnded && (!st.closed || st.err == nil):
			b.trailers()
			return 0, io.EOF
		case st.closed:
			return 0, io.ErrUnexpectedEOF
		case len(p) == 0:
			return 0, nil
		}
		if !c.wait(st.readable, st.readBy) {
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// taken copies what there is.
func (b *body) taken(p []byte) int {
	st := b.stream
	n := copy(p, st.in[st.read:])
	if st.read += n; st.read == len(st.in) {
		st.in, st.read = st.in[:0], 0
	} else if st.read > len(st.in)/2 {
		st.in = st.in[:copy(st.in, st.in[st.read:])]
		st.read = 0
	}
	st.conn.giveBack(st, n)
	return n
}

// trailers fills in those that were announced, as net/http does, and that no handler has
// struck out since.
func (b *body) trailers() {
	for _, f := range b.stream.trailers {
		name := http.CanonicalHeaderKey(f.Name)
		if _, wanted := b.trailer[name]; wanted {
			b.trailer[name] = append(b.trailer[name], f.Value)
		}
	}
	b.stream.trailers = nil
}

// Close implements io.Closer. What is left of the body is the connection's affair.
func (b *body) Close() error { return nil }

// wait waits for a signal, with c.mu let go meanwhile. It is false when the time is
// over; a zero time is none.
func (c *conn) wait(signal <-chan struct{}, until time.Time) bool {
	c.mu.Unlock()
	defer c.mu.Lock()
	if until.IsZero() {
		<-signal
		return true
	}
	left := time.Until(until)
	if left <= 0 {
		return false
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-signal:
		return true
	case <-timer.C:
		// The time may have been moved meanwhile: the caller looks again.
		return true
	}
}
