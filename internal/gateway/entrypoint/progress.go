// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"io"
	"net/http"
	"time"
)

// guard makes bodies move: each read of the request and each write of the
// response has its own time, so a client that stalls is cut while a long transfer
// that makes progress never is. H9, H10
func (s *settings) guard(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, io.ReadCloser) {
	control := http.NewResponseController(w)
	writer := &progressWriter{ResponseWriter: w, control: control, timeout: s.write}
	if r.Body == nil || r.Body == http.NoBody {
		return writer, r.Body
	}
	return writer, &progressBody{ReadCloser: r.Body, control: control, timeout: s.read}
}

type progressBody struct {
	io.ReadCloser

	control *http.ResponseController
	timeout time.Duration
}

// Read implements io.Reader. The deadline is taken away again, since the server
// goes on reading by itself to notice that the client has gone.
func (b *progressBody) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(b.timeout))
	n, err := b.ReadCloser.Read(p)
	if err == nil || err == io.EOF {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

type progressWriter struct {
	http.ResponseWriter

	control *http.ResponseController
	timeout time.Duration
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *progressWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write implements io.Writer.
func (w *progressWriter) Write(p []byte) (int, error) {
	w.extend()
	return w.ResponseWriter.Write(p)
}

// FlushError sends what there is.
func (w *progressWriter) FlushError() error {
	w.extend()
	return w.control.Flush()
}

// Flush implements http.Flusher.
func (w *progressWriter) Flush() { _ = w.FlushError() }

func (w *progressWriter) extend() {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.timeout))
}
