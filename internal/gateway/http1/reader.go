// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bytes"
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
	// full: the last read was given as much as it asked for.
	full bool
	// tried is the last end of a line at which a head was found incomplete.
	tried int
}

// startBytes is the buffer of a Reader before a head has needed more.
const startBytes = 4 << 10

// NewReader reads from src within limits.
func NewReader(src io.Reader, l Limits) *Reader {
	return &Reader{src: src, buf: make([]byte, startBytes), limits: l.WithDefaults(), tried: -1}
}

// Reset reads from another source. What is buffered is dropped.
func (r *Reader) Reset(src io.Reader) { r.src, r.r, r.w, r.tried = src, 0, 0, -1 }

// Fill waits for more bytes than are buffered.
func (r *Reader) Fill() error { return r.fill() }

// Buffered is what has been read and not been used.
func (r *Reader) Buffered() []byte { return r.buf[r.r:r.w] }

// Full tells that the last read was given all that it had room for, so that more is
// likely to be there already.
func (r *Reader) Full() bool { return r.full }

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
		r.full = r.w == len(r.buf)
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

// NextRequest parses the head of a request from what is buffered, and tells
// whether it has arrived in full. What is wrong with it is an *Error.
func (r *Reader) NextRequest(q *Request) (bool, error) {
	if !r.worthParsing() {
		return false, nil
	}
	n, err := q.Parse(r.Buffered(), &r.limits)
	return r.parsed(n, err)
}

// NextResponse parses the head of a response to a request with the given method
// from what is buffered, as NextRequest does.
func (r *Reader) NextResponse(p *Response, method string) (bool, error) {
	if !r.worthParsing() {
		return false, nil
	}
	n, err := p.Parse(r.Buffered(), method, &r.limits)
	return r.parsed(n, err)
}

// worthParsing holds whenever the end of a line has come since the last try, so
// that a peer that sends byte by byte costs no more than one that does not.
func (r *Reader) worthParsing() bool {
	b := r.Buffered()
	line := bytes.LastIndexByte(b, '\n')
	if line <= r.tried && len(b) < r.limits.LineBytes {
		return false
	}
	r.tried = line
	return true
}

func (r *Reader) parsed(n int, err error) (bool, error) {
	if err != nil || n == 0 {
		return false, err
	}
	r.discard(n)
	r.tried = -1
	return true, nil
}

// ReadRequest reads the head of a request. Between two requests io.EOF is a clean
// end; within one the error is io.ErrUnexpectedEOF. What is wrong with the request
// is an *Error.
func (r *Reader) ReadRequest(q *Request) error {
	for {
		if ok, err := r.NextRequest(q); ok || err != nil {
			return err
		}
		if err := r.more(); err != nil {
			return err
		}
	}
}

// ReadResponse reads the head of a response to a request with the given method.
func (r *Reader) ReadResponse(p *Response, method string) error {
	for {
		if ok, err := r.NextResponse(p, method); ok || err != nil {
			return err
		}
		if err := r.more(); err != nil {
			return err
		}
	}
}

func (r *Reader) more() error {
	err := r.fill()
	if errors.Is(err, io.EOF) && len(r.Buffered()) > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}

// SkipEmptyLine drops an empty line that stands alone: some clients send one behind
// a body, and it does not begin a request (RFC 9112 §2.2).
func (r *Reader) SkipEmptyLine() {
	if string(r.Buffered()) == "\r\n" {
		r.discard(2)
	}
}

// Shrink gives a large buffer back that holds nothing.
func (r *Reader) Shrink() {
	if len(r.buf) > maxKeptBytes && r.r == r.w {
		r.buf, r.r, r.w = make([]byte, startBytes), 0, 0
	}
}

// maxKeptBytes is the largest buffer that is kept for the next message.
const maxKeptBytes = 64 << 10
