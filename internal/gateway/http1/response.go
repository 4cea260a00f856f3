// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http1

import "bytes"

// Response is the head of a response.
type Response struct {
	Head
	Status int
	// Reason is the text after the status; it may be empty.
	Reason Span
}

// Parse reads a response to a request with the given method from the start of
// buf, and gives how many bytes its head has; 0 when it has not arrived in full.
func (r *Response) Parse(buf []byte, method string, l *Limits) (n int, err error) {
	r.reset()
	r.Status, r.Reason = 0, Span{}
	lf := bytes.IndexByte(buf, '\n')
	if lf < 0 {
		return 0, incomplete(len(buf), l.LineBytes, ErrHeadTooLarge)
	}
	if err := r.line(buf[:lf]); err != nil {
		return 0, err
	}
	end, err := r.fields(buf, lf+1, l)
	if err != nil {
		return 0, err
	}
	if end == 0 {
		return 0, incomplete(len(buf), l.HeadBytes, ErrHeadTooLarge)
	}
	if end > l.HeadBytes {
		return 0, ErrHeadTooLarge
	}
	r.Bytes = buf[:end]
	return end, r.judge(method)
}

// line parses the status line, given without its LF. The space before an absent
// reason may be missing: many servers leave it out.
func (r *Response) line(line []byte) error {
	if len(line) == 0 || line[len(line)-1] != '\r' {
		return ErrLineEnd
	}
	line = line[:len(line)-1]
	if len(line) < len("HTTP/1.1 200") || line[8] != ' ' || len(line) > 12 && line[12] != ' ' {
		return ErrStatusLine
	}
	var err error
	if r.Minor, err = parseVersion(line[:8]); err != nil {
		return ErrStatusLine
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return ErrStatusLine
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	if r.Status < 100 || r.Status > 599 {
		return ErrStatusLine
	}
	if len(line) > 13 {
		if !validValue(line[13:]) {
			return ErrStatusLine
		}
		r.Reason = Span{13, uint32(len(line))} //nolint:gosec // a head is far smaller than 4 GiB
	}
	return nil
}

// judge decides the framing (RFC 9112 §6.3).
func (r *Response) judge(method string) error {
	f, err := r.common()
	if err != nil {
		return err
	}
	switch {
	case method == "HEAD", r.Status < 200, r.Status == 204, r.Status == 304:
		r.Length = 0
	case f.chunked:
		r.Length = Chunked
	case f.lengths > 0:
		r.Length = f.length
	default:
		r.Length, r.Close = UntilClose, true
	}
	return nil
}

// HasBody tells whether bytes may follow the head.
func (r *Response) HasBody() bool { return r.Length != 0 }
