// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package compress

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// state is how far an answer is.
type state int

const (
	// waiting is before the final head.
	waiting state = iota
	// holding is with a head that is not sent yet, until the body is large enough.
	holding
	// plain passes the body on as it is.
	plain
	// encoded passes it on compressed.
	encoded
)

// writer compresses an answer, if it turns out that it should be.
type writer struct {
	http.ResponseWriter

	rule     *rule
	encoding encoding
	state    state
	status   int
	held     []byte
	encoder  encoder
	// written says that the encoder has something to flush.
	written bool
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter. Informational heads pass.
func (w *writer) WriteHeader(status int) {
	if w.state != waiting {
		return
	}
	if status < 200 {
		w.ResponseWriter.WriteHeader(status)
		if status == http.StatusSwitchingProtocols {
			w.state = plain
		}
		return
	}
	w.status = status
	h := w.Header()
	if !w.rule.eligible(status, h) {
		w.pass()
		return
	}
	addVary(h)
	length, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	switch {
	case w.encoding == none || err == nil && length < int64(w.rule.minBytes):
		w.pass()
	case err == nil || w.rule.minBytes == 0:
		w.encode()
	default:
		w.state = holding
	}
}

// eligible tells the answers that would be compressed for a client that takes it.
func (e *rule) eligible(status int, h http.Header) bool {
	switch {
	case status == http.StatusNoContent, status == http.StatusResetContent, status == http.StatusPartialContent, status == http.StatusNotModified:
		return false
	case h.Get("Content-Range") != "", isGRPC(h), hasToken(h["Cache-Control"], "no-transform"):
		return false
	}
	if coding := h.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return false
	}
	contentType := h.Get("Content-Type")
	return contentType != "" && e.types.has(contentType) && !e.excluded.has(contentType)
}

// addVary tells caches that the answer depends on what the client takes.
func addVary(h http.Header) {
	if !hasToken(h["Vary"], "Accept-Encoding") && !hasToken(h["Vary"], "*") {
		h.Add("Vary", "Accept-Encoding")
	}
}

func (w *writer) pass() {
	w.state = plain
	w.ResponseWriter.WriteHeader(w.status)
}

// encode sends the head of the compressed form. What is said of the other form's
// bytes does not hold of it: its length, ranges and digests. The entity tag becomes a weak
// one, since both forms mean the same and are not the same bytes (RFC 9110 §8.8.1).
func (w *writer) encode() {
	h := w.Header()
	for _, name := range []string{"Content-Length", "Accept-Ranges", "Content-Md5", "Content-Digest", "Digest", "Repr-Digest"} {
		delete(h, name)
	}
	h["Content-Encoding"] = []string{string(w.encoding)}
	if tag := h.Get("Etag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		h["Etag"] = []string{"W/" + tag}
	}
	w.state = encoded
	w.ResponseWriter.WriteHeader(w.status)
	w.encoder = take(kind{w.encoding, w.rule.level}, w.ResponseWriter)
}

func (w *writer) head() {
	if w.state == waiting {
		w.WriteHeader(http.StatusOK)
	}
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	w.head()
	if w.state == holding && len(w.held)+len(p) < w.rule.minBytes {
		w.held = append(w.held, p...)
		return len(p), nil
	}
	if w.state == holding {
		if err := w.release(); err != nil {
			return 0, err
		}
	}
	if w.state != encoded {
		return w.ResponseWriter.Write(p)
	}
	w.written = w.written || len(p) > 0
	return w.encoder.Write(p)
}

// release begins to compress with what was held back.
func (w *writer) release() error {
	w.encode()
	if len(w.held) == 0 {
		return nil
	}
	w.written = true
	_, err := w.encoder.Write(w.held)
	w.held = nil
	return err
}

// ReadFrom lets the writer below take a body that is not compressed as it can best.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	w.head()
	if w.state == plain {
		return io.Copy(w.ResponseWriter, src)
	}
	return io.Copy(struct{ io.Writer }{w}, src)
}

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is Flush for http.ResponseController. A stream is compressed however
// little of it there is.
func (w *writer) FlushError() error {
	w.head()
	if w.state == holding {
		if err := w.release(); err != nil {
			return err
		}
	}
	if w.encoder != nil && w.written {
		w.written = false
		if err := w.encoder.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.state = plain
	}
	return conn, buffer, err
}

// finish ends an answer whose handler has ended well. A small one leaves as it is,
// with its length.
func (w *writer) finish() {
	w.head()
	if w.state == holding {
		if h := w.Header(); !hasTrailers(h) {
			h["Content-Length"] = []string{strconv.Itoa(len(w.held))}
		}
		w.pass()
		_, _ = w.ResponseWriter.Write(w.held) // the client may be gone
		return
	}
	if w.encoder != nil {
		_ = w.encoder.Close() // the client may be gone
		give(kind{w.encoding, w.rule.level}, w.encoder)
		w.encoder = nil
	}
}

// hasTrailers tells an answer that needs its chunks.
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

// abandon is deferred around the handler. An answer that broke off must not end like
// a whole one, so its encoder is not closed. H11
func (w *writer) abandon() {
	if w.encoder != nil {
		give(kind{w.encoding, w.rule.level}, w.encoder)
		w.encoder = nil
	}
}
