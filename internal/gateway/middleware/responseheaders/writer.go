// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package responseheaders

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// writer edits the final head on its way out, and hides nothing of the writer
// below. H8
type writer struct {
	http.ResponseWriter

	edit   *edit
	origin string
	done   bool
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter. Informational heads pass.
func (w *writer) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.head(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) head(status int) {
	if !w.done {
		w.done = true
		w.edit.apply(w.Header(), status, w.origin)
	}
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	w.head(http.StatusOK)
	return w.ResponseWriter.Write(p)
}

// ReadFrom lets the writer below take a body as it can best.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	w.head(http.StatusOK)
	return io.Copy(w.ResponseWriter, src)
}

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is Flush for http.ResponseController.
func (w *writer) FlushError() error {
	w.head(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.head(http.StatusSwitchingProtocols)
	}
	return conn, buffer, err
}
