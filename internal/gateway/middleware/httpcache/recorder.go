// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"bufio"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
)

type mode int

const (
	// waiting is before the final head.
	waiting mode = iota
	// passing passes the answer on to the client, and keeps nothing.
	passing
	// recording keeps a copy of what it passes on.
	recording
	// swallowing passes nothing on: another answer takes its place.
	swallowing
)

// recorder is the writer of a request to the backend. It decides at the head what
// becomes of the answer, and passes it on as it comes. H8
type recorder struct {
	fetch *fetch
	// client is nil where nobody waits for this very answer.
	client http.ResponseWriter

	header http.Header
	mode   mode
	entry  *entry
	// length is that of Content-Length, or -1.
	length int64
	body   *copyOf
	// swallowed counts what was thrown away.
	swallowed int
}

// patience is how much of an answer that is not passed on is read, so that its
// connection can be used again.
const patience = 256 << 10

var (
	_ http.Flusher  = (*recorder)(nil)
	_ http.Hijacker = (*recorder)(nil)
)

// Unwrap lets http.ResponseController reach the writer below.
func (w *recorder) Unwrap() http.ResponseWriter { return w.client }

// Header implements http.ResponseWriter. It is not the client's before the head.
func (w *recorder) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header, 12)
	}
	return w.header
}

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	switch {
	case w.mode != waiting:
	case status >= 100 && status < 200 && status != http.StatusSwitchingProtocols:
		w.inform(status)
	default:
		w.decide(status)
	}
}

// inform passes an informational head on, which leaves no trace in the final one.
func (w *recorder) inform(status int) {
	if w.client == nil {
		return
	}
	h := w.client.Header()
	before := maps.Clone(h)
	maps.Copy(h, w.header)
	w.client.WriteHeader(status)
	clear(h)
	maps.Copy(h, before)
}

func (w *recorder) decide(status int) {
	w.length = -1
	if n, err := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		w.length = n
	}
	switch w.mode, w.entry = w.fetch.decide(status, w.header, w.length); w.mode {
	case recording:
		w.body = &copyOf{memory: w.fetch.h.memory, most: int(w.fetch.h.maxBody)}
		if !w.body.grow(int(max(w.length, 0))) {
			w.mode = passing
			w.fetch.free()
			w.pass(status)
			return
		}
		w.body.to = w.fetch.begin(w)
	case passing:
		w.pass(status)
	default:
	}
}

// pass sends the head as it came.
func (w *recorder) pass(status int) {
	if w.client == nil {
		return
	}
	w.fetch.h.counts.results[miss].Add()
	h := w.client.Header()
	copyFields(h, w.header)
	w.fetch.h.tell(h, miss, w.fetch.forwarded())
	w.client.WriteHeader(status)
}

// copyFields gives a header the fields of another. What decided before which answer
// it is still does.
func copyFields(to, from http.Header) {
	for name, values := range from {
		if before := to["Vary"]; name == "Vary" && len(before) > 0 {
			values = append(before[:len(before):len(before)], values...)
		}
		to[name] = values
	}
}

func (w *recorder) head() {
	if w.mode == waiting {
		w.WriteHeader(http.StatusOK)
	}
}

// Write implements io.Writer.
func (w *recorder) Write(p []byte) (int, error) {
	w.head()
	switch w.mode {
	case recording:
		if w.body.write(p) {
			return len(p), nil
		}
		if err := w.overflow(); err != nil {
			return 0, err
		}
	case swallowing:
		if w.swallowed += len(p); w.swallowed > patience {
			return 0, errSwallowed
		}
		return len(p), nil
	default:
	}
	if w.client == nil {
		return 0, errSwallowed // nobody wants it, and it is not to be kept
	}
	return w.client.Write(p)
}

// overflow gives up an answer that is larger than it said, and goes on passing it.
func (w *recorder) overflow() error {
	w.fetch.free()
	w.mode = passing
	return w.body.drain()
}

// ReadFrom lets the writer below take a body as it can best.
func (w *recorder) ReadFrom(src io.Reader) (int64, error) {
	w.head()
	if w.mode == passing && w.client != nil {
		return io.Copy(w.client, src)
	}
	return io.Copy(struct{ io.Writer }{w}, src)
}

// Flush implements http.Flusher.
func (w *recorder) Flush() { _ = w.FlushError() }

// FlushError is Flush for http.ResponseController.
func (w *recorder) FlushError() error {
	w.head()
	switch {
	case w.mode == recording:
		w.body.flush()
		return nil
	case w.client == nil || w.mode == swallowing:
		return nil
	}
	return http.NewResponseController(w.client).Flush()
}

// Hijack implements http.Hijacker.
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.client == nil || w.mode == swallowing || w.mode == recording {
		return nil, nil, http.ErrNotSupported
	}
	w.fetch.free()
	w.mode = passing
	return http.NewResponseController(w.client).Hijack()
}

// whole says that the body is as long as was said, and has no trailers.
func (w *recorder) whole() bool {
	if w.length >= 0 && int64(w.body.len()) != w.length {
		return false
	}
	return !hasTrailers(w.header)
}

// trailers are passed on after the body.
func (w *recorder) trailers() {
	if w.client == nil || !hasTrailers(w.header) {
		return
	}
	h := w.client.Header()
	for name, values := range w.header {
		if strings.HasPrefix(name, http.TrailerPrefix) || w.mode == passing {
			h[name] = values
		}
	}
}

func hasTrailers(h http.Header) bool {
	if len(h["Trailer"]) > 0 {
		return true
	}
	for name := range h {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			return true
		}
	}
	return false
}
