// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package downstream

import (
	"errors"
	"net/http"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/http1"
)

// answer is the state of a response.
type answer struct {
	// buffer holds what is to be written.
	buffer []byte
	// status is that of the final head; 0 before it.
	status int
	// sent counts the bytes of the body.
	sent int64
	// begun: the final head is on its way, or in the buffer. chunked: the body
	// has chunks. bodiless: no body follows. left: what is missing of a body of
	// known length.
	begun, chunked, bodiless bool
	left                     int64
	// last: the connection ends with this answer.
	last bool
	// closes: nothing but the end of the connection ends the body.
	closes bool
	// continued: the client was told to go on.
	continued bool
	hijacked  bool
	broken    bool
	// begunBody: a part of the request's body was taken.
	begunBody bool
}

// Unknown is the length of a body that ends when it ends.
const Unknown = -1

// errTooLong is a body that is longer than was said.
var errTooLong = errors.New("the body is longer than its Content-Length")

// Status is that of the final head; 0 before it was begun.
func (s *Stream) Status() int { return s.status }

// Sent is how many bytes of the answer's body were written.
func (s *Stream) Sent() int64 { return s.sent }

// Begin begins the final head of the answer. What it gives holds the status line;
// the caller appends fields, none of which may concern framing or connection, and
// gives it to Send.
func (s *Stream) Begin(status int) []byte {
	s.status, s.begun = status, true
	return http1.AppendStatus(s.buffer[:0], status)
}

// Bodiless tells whether an answer with a status has no body (RFC 9110 §6.4.1).
func (s *Stream) Bodiless(status int) bool {
	return status < 200 || status == http.StatusNoContent || status == http.StatusNotModified || s.Method() == http.MethodHead
}

// Start completes the head that Begin gave. Length is that of the whole body, or
// Unknown; an answer that is Bodiless has the length that it would have had, or
// Unknown to say nothing. Nothing leaves before Flush, SendEnd, or so much of the body
// that it is worth a system call of its own.
func (s *Stream) Start(head []byte, length int64) {
	s.buffer = s.frame(head, length)
	s.left = length
}

// frame appends what tells the end of the message and of the connection.
func (s *Stream) frame(head []byte, length int64) []byte {
	s.bodiless = s.Bodiless(s.status)
	old := s.Head.Minor == 0 && s.Fault == nil
	switch {
	case length >= 0 && (!s.bodiless || s.status >= 200 && s.status != http.StatusNoContent):
		head = http1.AppendLength(head, length)
	case s.bodiless:
	case old:
		s.last, s.closes = true, true
	default:
		s.chunked = true
		head = append(head, "Transfer-Encoding: chunked\r\n"...)
	}
	s.settle()
	switch {
	case s.last:
		head = append(head, "Connection: close\r\n"...)
	case old:
		head = append(head, "Connection: keep-alive\r\n"...)
	}
	return append(head, "\r\n"...)
}

// settle decides whether the connection ends with this answer. Where a part of the
// request's body has been read and a part has not, nobody can tell what follows. H4
func (s *Stream) settle() {
	begun, ended := s.bodyState()
	undrained := begun || s.Head.Continue && !s.continued || s.Head.Length > drainBytes
	if s.Head.Close || s.Fault != nil || s.conn.server.retired.Load() || !ended && undrained {
		s.last = true
	}
}

// bodyState tells whether a part of the request's body has been read, and all of it. A
// handler may read it at this moment, unless the body was begun before there was one.
func (s *Stream) bodyState() (begun, ended bool) {
	if s.handler != nil && !s.begunBody {
		return s.handler.body.state()
	}
	return s.begunBody, s.body.Ended()
}

// smallBytes is up to where a copy costs less than a system call.
const smallBytes = 16 << 10

// Send takes a part of the body. It leaves at once only when it is large.
func (s *Stream) Send(part []byte) error {
	if s.bodiless || len(part) == 0 {
		return nil
	}
	if s.left >= 0 && s.sent+int64(len(part)) > s.left {
		return errTooLong
	}
	s.sent += int64(len(part))
	if s.chunked {
		s.buffer = http1.AppendChunkSize(s.buffer, len(part))
	}
	if len(s.buffer)+len(part) > smallBytes {
		if err := s.Flush(); err != nil {
			return err
		}
	}
	if len(part) > smallBytes {
		if err := s.write(part); err != nil {
			return err
		}
	} else {
		s.buffer = append(s.buffer, part...)
	}
	if s.chunked {
		s.buffer = append(s.buffer, "\r\n"...)
	}
	return nil
}

// SendEnd ends the body, with the fields of a trailer in their lines.
func (s *Stream) SendEnd(trailer []byte) error {
	if s.chunked && !s.bodiless {
		s.buffer = append(append(append(s.buffer, "0\r\n"...), trailer...), "\r\n"...)
	}
	return s.Flush()
}

// Plain tells that SendFrom works.
func (s *Stream) Plain() bool { return canSplice && s.conn.plain != nil && !s.chunked && !s.bodiless }

// Interim sends an interim response, whose fields are in their lines. A client of
// HTTP/1.0 knows none (RFC 9110 §15.2).
func (s *Stream) Interim(status int, fields []byte) error {
	if s.Head.Minor == 0 || s.begun {
		return nil
	}
	out := http1.AppendStatus(s.buffer[:0], status)
	s.buffer = append(append(out, fields...), "\r\n"...)
	return s.Flush()
}

// Continue tells a client that waits for it to send the body, once.
func (s *Stream) Continue() error {
	if !s.Head.Continue || s.continued || s.begun {
		return nil
	}
	s.continued = true
	return s.write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
}

// Flush sends what there is.
func (s *Stream) Flush() error {
	if len(s.buffer) == 0 {
		return nil
	}
	err := s.write(s.buffer)
	s.buffer = s.buffer[:0]
	return err
}

// write writes, within the time that the client has for it. Only a write that
// takes long is told apart from one that takes no time.
func (s *Stream) write(p []byte) error {
	c := s.conn
	began := time.Now()
	c.write.Within(c.net.SetWriteDeadline, began, s.out.Next())
	_, err := c.net.Write(p)
	s.out.Note(len(p), 0)
	if len(p) > smallBytes {
		s.out.Note(0, time.Since(began))
	}
	if err != nil {
		s.broken = true
	}
	return err
}

// untilClose tells that the client takes the end of the connection for the end of
// the body.
func (s *Stream) untilClose() bool { return s.begun && s.closes }

// end brings the answer to its end, and tells whether the connection goes on.
func (s *Stream) end() (more bool) {
	if s.handler != nil {
		s.handler.end()
	}
	if s.hijacked || s.taken {
		return false
	}
	if s.broken || !s.begun || s.Flush() != nil {
		s.conn.abort()
		return false
	}
	if s.left >= 0 && s.sent < s.left && !s.bodiless {
		s.conn.abort() // less than was said
		return false
	}
	if s.last {
		s.conn.linger = !s.body.Ended() || s.Fault != nil
		return false
	}
	if !s.drain() {
		s.conn.linger = true
		return false
	}
	if cap(s.buffer) > maxKeptBytes {
		s.buffer = nil
	}
	return true
}

const maxKeptBytes = 64 << 10

// recover takes the panic of a handler for the abort of its answer.
func (s *Stream) recover(more *bool) {
	p := recover()
	if p == nil {
		return
	}
	*more, s.broken = false, true
	if s.handler != nil {
		s.handler.end()
	}
	if !s.hijacked {
		s.conn.abort()
	}
	if p != http.ErrAbortHandler && s.conn.server.o.Panicked != nil { //nolint:errorlint // this value is compared by identity
		s.conn.server.o.Panicked(s, p)
	}
}

// Broken tells that the client does not take its answer any more.
func (s *Stream) Broken() bool { return s.broken }

// Abort has the answer break off.
func (s *Stream) Abort() { s.broken = true }
