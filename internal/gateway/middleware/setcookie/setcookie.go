// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package setcookie gives the client cookies beside those of the backend, whose
// head would replace what is set before it comes.
package setcookie

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
)

// Serve lets next answer, and adds the lines, each the value of a Set-Cookie header,
// to its final head.
func Serve(next http.Handler, w http.ResponseWriter, r *http.Request, lines []string) {
	if len(lines) == 0 {
		next.ServeHTTP(w, r)
		return
	}
	with := &writer{ResponseWriter: w, lines: lines}
	next.ServeHTTP(with, r)
	with.head() // of an answer that is nothing but the default one
}

// Add appends the lines to a head. The values that are there may be shared with
// the answer of the backend, and stay as they are.
func Add(h http.Header, lines []string) {
	if len(lines) > 0 {
		h["Set-Cookie"] = slices.Concat(h["Set-Cookie"], lines)
	}
}

// writer adds cookies to the final head, and hides nothing of the writer below. H8
type writer struct {
	http.ResponseWriter

	lines []string
	done  bool
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) head() {
	if !w.done {
		w.done = true
		Add(w.Header(), w.lines)
	}
}

// WriteHeader implements http.ResponseWriter. Informational heads pass.
func (w *writer) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.head()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	w.head()
	return w.ResponseWriter.Write(p)
}

// ReadFrom lets the writer below take a body as it can best.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	w.head()
	return io.Copy(w.ResponseWriter, src)
}

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is Flush for http.ResponseController.
func (w *writer) FlushError() error {
	w.head()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}
