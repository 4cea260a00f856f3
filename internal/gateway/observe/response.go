// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// proxiedBy is what every answer says.
const proxiedBy = "Goma Gateway"

// response counts an answer and gives it the headers that every answer has. It
// hides nothing of the writer below: flushing, hijacking and deadlines work, and
// bodies may still be sent without a copy.
type response struct {
	http.ResponseWriter

	requestID string
	// status is that of the final head; 0 before there is one.
	status int
	bytes  int64
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader passes informational heads on; the first other one is final.
func (w *response) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	if w.status == 0 {
		w.status = status
		w.decorate()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) decorate() {
	h := w.Header()
	if w.requestID != "" {
		h["X-Goma-Request-Id"] = []string{w.requestID}
	}
	h["Proxied-By"] = []string{proxiedBy}
	delete(h, "Server")
}

func (w *response) head() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
}

func (w *response) Write(p []byte) (int, error) {
	w.head()
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// ReadFrom lets the connection take the body from a file or another connection.
func (w *response) ReadFrom(src io.Reader) (int64, error) {
	w.head()
	n, err := io.Copy(w.ResponseWriter, src)
	w.bytes += n
	return n, err
}

// Flush sends what there is.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError is Flush for http.ResponseController.
func (w *response) FlushError() error {
	w.head()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack hands the connection over, which is how an upgrade begins.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil && w.status == 0 {
		w.status = http.StatusSwitchingProtocols
		w.decorate()
	}
	return conn, buffer, err
}
