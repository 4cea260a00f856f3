// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"log/slog"
	"net/netip"
	"strconv"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// line is one line of the log in the making: an object of JSON, or key=value pairs.
// It formats without reflection, into a buffer that is used again. Whatever a value
// holds, the line stays one line. B4
type line struct {
	buf  []byte
	json bool
	// group goes in front of keys of text.
	group string
}

// maxKeptLine bounds the buffers that are kept.
const maxKeptLine = 16 << 10

var lines = sync.Pool{New: func() any { return &line{buf: make([]byte, 0, 1<<10)} }}

// begin takes a line, with the fields that every line begins with.
func begin(json bool, at time.Time, level slog.Level, message string) *line {
	l := lines.Get().(*line) //nolint:forcetypeassert // there is nothing else in it
	l.buf, l.json, l.group = l.buf[:0], json, ""
	if json {
		l.buf = append(l.buf, '{')
	}
	l.key(slog.TimeKey)
	l.quoted(func(b []byte) []byte { return at.AppendFormat(b, "2006-01-02T15:04:05.000Z07:00") })
	l.text(slog.LevelKey, level.String())
	l.text(slog.MessageKey, message)
	return l
}

// end completes the line and gives its bytes, which hold until free.
func (l *line) end() []byte {
	if l.json {
		l.buf = append(l.buf, '}')
	}
	l.buf = append(l.buf, '\n')
	return l.buf
}

func (l *line) free() {
	if cap(l.buf) <= maxKeptLine {
		lines.Put(l)
	}
}

func (l *line) key(name string) {
	if l.json {
		if last := l.buf[len(l.buf)-1]; last != '{' {
			l.buf = append(l.buf, ',')
		}
		l.buf = append(appendJSON(append(l.buf, '"'), name), '"', ':')
		return
	}
	if len(l.buf) > 0 {
		l.buf = append(l.buf, ' ')
	}
	if l.group != "" {
		l.buf = append(append(l.buf, l.group...), '.')
	}
	l.buf = append(appendText(l.buf, name), '=')
}

// quoted writes a value that needs no escaping.
func (l *line) quoted(write func([]byte) []byte) {
	if !l.json {
		l.buf = write(l.buf)
		return
	}
	l.buf = append(write(append(l.buf, '"')), '"')
}

func (l *line) text(key, value string) {
	l.key(key)
	if l.json {
		l.buf = append(appendJSON(append(l.buf, '"'), value), '"')
		return
	}
	l.buf = appendText(l.buf, value)
}

// joined is text of two parts.
func (l *line) joined(key, a, b string) {
	switch {
	case a == "":
		l.text(key, b)
	case l.json:
		l.key(key)
		l.buf = append(appendJSON(appendJSON(append(l.buf, '"'), a), b), '"')
	default:
		l.text(key, a+b)
	}
}

func (l *line) number(key string, n int64) {
	l.key(key)
	l.buf = strconv.AppendInt(l.buf, n, 10)
}

// milliseconds writes 34.10ms.
func (l *line) milliseconds(key string, d time.Duration) {
	l.key(key)
	l.quoted(func(b []byte) []byte {
		return append(strconv.AppendFloat(b, float64(d)/float64(time.Millisecond), 'f', 2, 64), "ms"...)
	})
}

func (l *line) address(key string, a netip.Addr) {
	if !a.IsValid() {
		l.text(key, "")
		return
	}
	l.key(key)
	l.quoted(a.AppendTo)
}

// open begins a group of fields; close ends it. Groups do not nest.
func (l *line) open(name string) {
	if !l.json {
		l.group = name
		return
	}
	l.key(name)
	l.buf = append(l.buf, '{')
}

func (l *line) close() {
	if !l.json {
		l.group = ""
		return
	}
	l.buf = append(l.buf, '}')
}

// appendJSON appends the inside of a string of JSON. What a terminal may take for a
// command is escaped too.
func appendJSON(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plainByte[c] {
			i++
			continue
		}
		r, size := rune(c), 1
		if c >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
			if unicode.IsPrint(r) && (r != utf8.RuneError || size > 1) {
				i += size
				continue
			}
		}
		dst = append(dst, s[from:i]...)
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case r > 0xffff:
			dst = utf8.AppendRune(dst, utf8.RuneError)
		default:
			dst = append(dst, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
		}
		i += size
		from = i
	}
	return append(dst, s[from:]...)
}

// appendText appends a value of key=value, in quotes where it needs them.
func appendText(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, '"', '"')
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; !plainByte[c] || c == ' ' || c == '=' {
			return strconv.AppendQuote(dst, s)
		}
	}
	return append(dst, s...)
}

// plainByte tells the bytes that stand for themselves in strings of JSON.
var plainByte = func() (table [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()
