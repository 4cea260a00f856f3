// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gitsource

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Packet lines are how git frames its messages: four hex digits of length, then
// data. Lengths below four are marks.
type mark int

const (
	markData  mark = iota
	markFlush      // 0000: the end of a message
	markDelim      // 0001: the end of a section
	markEnd        // 0002: the end of an answer
)

const maxPacket = 65520

// packets reads packet lines.
type packets struct {
	r   io.Reader
	buf [maxPacket]byte
}

// next gives a line, or a mark. The data is valid until the next call.
func (p *packets) next() ([]byte, mark, error) {
	var head [4]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return nil, 0, err
	}
	n, err := strconv.ParseUint(string(head[:]), 16, 32)
	if err != nil {
		return nil, 0, errors.New("the server does not speak the protocol of git")
	}
	switch {
	case n == 0:
		return nil, markFlush, nil
	case n == 1:
		return nil, markDelim, nil
	case n == 2:
		return nil, markEnd, nil
	case n < 4 || n > maxPacket:
		return nil, 0, errors.New("the server does not speak the protocol of git")
	}
	data := p.buf[:n-4]
	if _, err := io.ReadFull(p.r, data); err != nil {
		return nil, 0, noEOF(err)
	}
	if text, ok := bytes.CutPrefix(data, []byte("ERR ")); ok {
		return nil, 0, fmt.Errorf("the server says: %s", printable(string(text)))
	}
	return data, markData, nil
}

// line is next for text: without the end of the line.
func (p *packets) line() (string, mark, error) {
	data, m, err := p.next()
	return strings.TrimSuffix(string(data), "\n"), m, err
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// message is packet lines to send.
type message struct{ bytes.Buffer }

func (m *message) addf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintf(m, "%04x%s\n", len(text)+5, text)
}

func (m *message) delim() { m.WriteString("0001") }
func (m *message) flush() { m.WriteString("0000") }

// printable gives what a server said in a form that can stand in a log.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\ufffd' {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "..."
	}
	return s
}

// sideband reads the first channel of multiplexed packet lines: the pack. The
// second is progress, the third the error that ends it.
type sideband struct {
	p    *packets
	rest []byte
	done bool
}

func (s *sideband) Read(b []byte) (int, error) {
	for len(s.rest) == 0 {
		if s.done {
			return 0, io.EOF
		}
		data, m, err := s.p.next()
		switch {
		case err != nil:
			return 0, noEOF(err)
		case m != markData:
			s.done = true
		case len(data) == 0:
		case data[0] == 1:
			s.rest = data[1:]
		case data[0] == 3:
			return 0, fmt.Errorf("the server says: %s", printable(string(data[1:])))
		}
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}
