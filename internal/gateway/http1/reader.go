// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"errors"
	"io"
)

// Reader buffers what a peer sends. Heads are parsed, and bodies are handed on, in
// its buffer: they hold until the Reader is read from again.
type Reader struct {
	src io.Reader
	buf []byte
	// What is buffered is buf[r:w].
	r, w   int
	limits Limits
}

// startBytes is the buffer of a Reader before a head has needed more.
const startBytes = 4 << 10

// NewReader reads from src within limits.
func NewReader(src io.Reader, l Limits) *Reader {
	return &Reader{src: src, buf: make([]byte, startBytes), limits: l.WithDefaults()}
}

// Reset reads from another source. What is buffered is dropped.
func (r *Reader) Reset(src io.Reader) { r.src, r.r, r.w = src, 0, 0 }

// Buffered is what has been read and not been used.
func (r *Reader) Buffered() []byte { return r.buf[r.r:r.w] }

// discard uses up n buffered bytes.
func (r *Reader) discard(n int) { r.r += n }

// errNoProgress is a source that gives neither bytes nor an error.
var errNoProgress = errors.New("the connection gives neither data nor an error")

// fill reads at least one more byte behind what is buffered. It makes room by
// moving that to the front, and then by a larger buffer.
func (r *Reader) fill() error {
	if r.r == r.w {
		r.r, r.w = 0, 0
	}
	if r.w == len(r.buf) {
		r.makeRoom()
	}
	for range 100 {
		n, err := r.src.Read(r.buf[r.w:])
		r.w += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return errNoProgress
}

func (r *Reader) makeRoom() {
	if r.r > 0 {
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
		return
	}
	larger := make([]byte, 2*len(r.buf))
	copy(larger, r.buf)
	r.buf = larger
}

// ReadRequest reads the head of a request. Between two requests io.EOF is a clean
// end; within one the error is io.ErrUnexpectedEOF. What is wrong with the request
// is an *Error.
func (r *Reader) ReadRequest(q *Request) error {
	return r.head(func(buf []byte) (int, error) { return q.Parse(buf, &r.limits) })
}

// ReadResponse reads the head of a response to a request with the given method.
func (r *Reader) ReadResponse(p *Response, method string) error {
	return r.head(func(buf []byte) (int, error) { return p.Parse(buf, method, &r.limits) })
}

// head parses again whenever the end of a line has come, so that a peer that sends
// byte by byte costs no more than one that does not.
func (r *Reader) head(parse func([]byte) (int, error)) error {
	for tried := -1; ; {
		if line := lastLine(r.Buffered()); line > tried || len(r.Buffered()) >= r.limits.LineBytes {
			tried = line
			n, err := parse(r.Buffered())
			if err != nil {
				return err
			}
			if n > 0 {
				r.discard(n)
				return nil
			}
		}
		if err := r.fill(); err != nil {
			if errors.Is(err, io.EOF) && len(r.Buffered()) > 0 {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
}

// lastLine is the offset of the last end of a line; -1 without one.
func lastLine(b []byte) int {
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] == '\n' {
			return i
		}
	}
	return -1
}
