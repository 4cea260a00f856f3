// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package downstream

import (
	"errors"
	"net/http"
	"os"
	"sync"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/limit"
)

// requestBody is the body of a request as handlers know it. It may be read in
// another goroutine than the handler's, even when the handler is done, which then
// has no effect.
type requestBody struct {
	stream  *Stream
	trailer http.Header

	mu sync.Mutex

	// begun: it was read. eof: to its end. ended: the handler is done.
	begun, eof, ended bool
	err               error
	received          int64
	// reading is closed when the read that blocks is over; nil when none does.
	reading chan struct{}
}

// Read implements io.Reader. A client that takes too long is an
// os.ErrDeadlineExceeded, one that breaks off an io.ErrUnexpectedEOF.
func (b *requestBody) Read(p []byte) (int, error) {
	if err := b.begin(); err != nil {
		return 0, err
	}
	n, err := b.stream.readBody(p)
	b.done(err)
	return n, err
}

func (b *requestBody) begin() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.ended:
		return http.ErrBodyReadAfterClose
	case b.err != nil:
		return b.err
	case b.reading != nil:
		return errors.New("the body is being read by somebody else")
	case b.stream.in.Next() <= 0:
		b.err = os.ErrDeadlineExceeded
		return b.err
	}
	b.begun = true
	b.reading = make(chan struct{})
	return nil
}

func (b *requestBody) done(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.reading)
	b.reading = nil
	b.received = b.stream.body.Count()
	if !b.eof && b.stream.body.Ended() {
		b.eof = true
		b.trailers()
	}
	if err != nil {
		b.err = err
	}
}

// trailers fills in those that were announced, as net/http does.
func (b *requestBody) trailers() {
	t := b.stream.body.Trailer()
	for i := range t.Fields {
		name := http.CanonicalHeaderKey(string(t.Fields[i].Name.Of(t.Bytes)))
		if _, announced := b.trailer[name]; announced {
			b.trailer[name] = append(b.trailer[name], string(t.Fields[i].Value.Of(t.Bytes)))
		}
	}
}

// Close implements io.Closer. What is left of the body is the connection's affair.
func (b *requestBody) Close() error { return nil }

// Received gives how many bytes were read.
func (b *requestBody) Received() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.received
}

// state tells whether a part of the body was read, and whether all of it was.
func (b *requestBody) state() (begun, ended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.begun, b.eof
}

func (b *requestBody) isOver() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended
}

// end is when the handler is done. A read that still blocks is broken off, and the
// connection with it; one that has just come to the end of the body is no harm.
func (b *requestBody) end() {
	b.mu.Lock()
	b.ended = true
	reading := b.reading
	b.mu.Unlock()
	if reading == nil {
		return
	}
	c := b.stream.conn
	_ = c.net.SetReadDeadline(time.Unix(1, 0)) // the read tells what is wrong
	<-reading
	c.read = limit.Deadline{} // whatever it was, the next one must be set
	if _, whole := b.state(); !whole {
		b.stream.last = true
	}
}

// readBody reads a part of the body, within the time that the client has for it.
func (s *Stream) readBody(p []byte) (int, error) {
	if err := s.handler.writer.goOn(); err != nil {
		return 0, err
	}
	c := s.conn
	if s.arrived() {
		return s.body.Read(p)
	}
	began := time.Now()
	c.read.Within(c.net.SetReadDeadline, began, s.in.Next())
	if s.handler.body.isOver() {
		// That deadline may have taken the place of the one that breaks this read off.
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := s.body.Read(p)
	s.in.Note(n, time.Since(began))
	return n, err
}
