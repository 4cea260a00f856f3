// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// statusLines holds the status lines of the codes that have a reason phrase.
var statusLines = func() (lines [600]string) {
	for code := 100; code < len(lines); code++ {
		lines[code] = "HTTP/1.1 " + strconv.Itoa(code) + " " + http.StatusText(code) + "\r\n"
	}
	return lines
}()

// AppendStatus appends a status line, with the phrase that the code usually has.
func AppendStatus(dst []byte, code int) []byte {
	if code >= 100 && code < len(statusLines) {
		return append(dst, statusLines[code]...)
	}
	return append(strconv.AppendInt(append(dst, "HTTP/1.1 "...), int64(code), 10), " \r\n"...)
}

// AppendRequestLine appends a request line of HTTP/1.1.
func AppendRequestLine(dst []byte, method, target string) []byte {
	dst = append(append(dst, method...), ' ')
	dst = append(dst, target...)
	return append(dst, " HTTP/1.1\r\n"...)
}

// AppendField appends a field line. Name and value are written as they are; who
// computes a value has it checked with ValidValue.
func AppendField[N, V text](dst []byte, name N, value V) []byte {
	dst = append(append(dst, name...), ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// AppendLength appends a Content-Length field.
func AppendLength(dst []byte, n int64) []byte {
	dst = strconv.AppendInt(append(dst, "Content-Length: "...), n, 10)
	return append(dst, "\r\n"...)
}

// AppendChunk appends a chunk. It must not be empty: that one is the last.
func AppendChunk(dst, data []byte) []byte {
	dst = append(AppendChunkSize(dst, len(data)), data...)
	return append(dst, "\r\n"...)
}

// AppendChunkSize appends the line before the data of a chunk.
func AppendChunkSize(dst []byte, n int) []byte {
	return append(strconv.AppendUint(dst, uint64(n), 16), "\r\n"...) //nolint:gosec // a length
}

// ValidValue tells whether a text can be the value of a field (RFC 9110 §5.5).
func ValidValue(s string) bool {
	for i := 0; i < len(s); i++ {
		if class[s[i]]&isValue == 0 {
			return false
		}
	}
	return true
}

// ValidName tells whether a text can be the name of a field.
func ValidName(s string) bool {
	for i := 0; i < len(s); i++ {
		if class[s[i]]&isToken == 0 {
			return false
		}
	}
	return s != ""
}

// date is the value of a Date field for one second.
type date struct {
	second int64
	line   []byte
}

var lastDate atomic.Pointer[date]

// AppendDate appends the Date field of a moment (RFC 9110 §6.6.1). It is formatted
// once in a second.
func AppendDate(dst []byte, now time.Time) []byte {
	d := lastDate.Load()
	if d == nil || d.second != now.Unix() {
		line := now.UTC().AppendFormat([]byte("Date: "), http.TimeFormat)
		d = &date{now.Unix(), append(line, "\r\n"...)}
		lastDate.Store(d)
	}
	return append(dst, d.line...)
}
