// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http1

import "bytes"

// Request is the head of a request.
type Request struct {
	Head
	Method, Target Span
	// Host is the value of the Host field.
	Host Span
	// Continue says that the client waits for a 100 before it sends the body.
	Continue bool
}

// minRequest is the shortest request line: a method of one letter, the target /.
const minRequest = len("G / HTTP/1.1")

// Parse reads a request from the start of buf, and gives how many bytes its head
// has; 0 when it has not arrived in full. An error is an *Error.
func (r *Request) Parse(buf []byte, l *Limits) (n int, err error) {
	r.reset()
	r.Method, r.Target, r.Host, r.Continue = Span{}, Span{}, Span{}, false
	start := 0
	if len(buf) >= 2 && buf[0] == '\r' && buf[1] == '\n' {
		start = 2 // RFC 9112 §2.2: one empty line before a request is forgiven
	}
	lf := bytes.IndexByte(buf[start:], '\n')
	if lf < 0 {
		return 0, incomplete(len(buf), l.LineBytes, ErrLineTooLong)
	}
	if lf > l.LineBytes {
		return 0, ErrLineTooLong
	}
	if err := r.line(buf[start:start+lf], start); err != nil {
		return 0, err
	}
	end, err := r.fields(buf, start+lf+1, l)
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
	return end, r.judge()
}

func incomplete(have, limit int, err *Error) error {
	if have >= limit {
		return err
	}
	return nil
}

// line parses the request line, given without its LF.
func (r *Request) line(line []byte, pos int) error {
	if len(line) == 0 || line[len(line)-1] != '\r' {
		return ErrLineEnd
	}
	line = line[:len(line)-1]
	if len(line) < minRequest {
		return ErrRequestLine
	}
	method := bytes.IndexByte(line, ' ')
	version := len(line) - len("HTTP/1.1")
	if method <= 0 || version-1 <= method+1 || line[version-1] != ' ' {
		return ErrRequestLine
	}
	if !all(line[:method], isToken) || !all(line[method+1:version-1], isTarget) {
		return ErrRequestLine
	}
	var err error
	if r.Minor, err = parseVersion(line[version:]); err != nil {
		return err
	}
	//nolint:gosec // a head is far smaller than 4 GiB
	r.Method, r.Target = Span{uint32(pos), uint32(pos + method)}, Span{uint32(pos + method + 1), uint32(pos + version - 1)}
	return nil
}

// parseVersion tells another version of HTTP from something that is none.
func parseVersion(b []byte) (minor uint8, err error) {
	if len(b) != len("HTTP/1.1") || string(b[:5]) != "HTTP/" || b[6] != '.' {
		return 0, ErrRequestLine
	}
	major, low := b[5], b[7]
	if major < '0' || major > '9' || low < '0' || low > '9' {
		return 0, ErrRequestLine
	}
	if major != '1' || low > '1' {
		return 0, ErrVersion
	}
	return low - '0', nil
}

// judge decides framing and host.
func (r *Request) judge() error {
	f, err := r.common()
	if err != nil {
		return err
	}
	r.Length = f.length
	if f.chunked {
		r.Length = Chunked
	}
	hosts := 0
	for i := range r.Fields {
		field := &r.Fields[i]
		switch field.ID {
		case Host:
			if hosts++; hosts > 1 {
				return ErrHostRepeated
			}
			r.Host = field.Value
		case Expect:
			if !equalFold(field.Value.Of(r.Bytes), "100-continue") {
				return ErrExpect
			}
			// Without a body there is nothing to wait for (RFC 9110 §10.1.1).
			r.Continue = r.Minor > 0 && r.Length != 0
		default:
		}
	}
	if hosts == 0 && r.Minor > 0 {
		return ErrHostMissing
	}
	return nil
}
