// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package errorinterceptor

import (
	"bufio"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

const (
	// largest is the announced length up to which a body is replaced: what is
	// larger is a download rather than a message.
	largest = 10 << 20
	// patience is how much of a replaced body is taken, so that the connection to
	// the backend can be used again. A backend that sends more is left.
	patience = 256 << 10
)

// describing headers are about the body that is replaced. M30
var describing = []string{
	"Accept-Ranges", "Content-Digest", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length",
	"Content-Location", "Content-Md5", "Content-Range", "Content-Type", "Digest", "Etag", "Last-Modified", "Repr-Digest",
	"Trailer", "Transfer-Encoding",
}

// errReplaced ends the writing of a body that nobody gets.
var errReplaced = errors.New("the body has been replaced")

// writer watches for the statuses of the rule, and hides nothing of the writer
// below.
type writer struct {
	http.ResponseWriter

	h    *handler
	r    *http.Request
	done bool
	// replaced says that the client has its answer, and what comes is thrown away.
	replaced bool
	thrown   int
	reason   string
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter. Informational heads pass.
func (w *writer) WriteHeader(status int) {
	if w.done || status < 200 {
		if !w.replaced {
			w.ResponseWriter.WriteHeader(status)
		}
		return
	}
	w.done = true
	p := w.h.pages[status]
	if p == nil || !replaceable(w.Header()) {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.replaced, w.reason = true, exchange.Of(w.r).Reason
	h := w.Header()
	for _, name := range describing {
		delete(h, name)
	}
	p.count.Add()
	p.send(w.ResponseWriter, w.r, status)
	// The handler may go on for a while; the client need not wait for that.
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// replaceable tells messages from downloads, media and streams.
func replaceable(h http.Header) bool {
	if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil && n > largest {
		return false
	}
	disposition, _, _ := strings.Cut(h.Get("Content-Disposition"), ";")
	if strings.EqualFold(strings.TrimSpace(disposition), "attachment") {
		return false
	}
	mediaType, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	kind, form, _ := strings.Cut(mediaType, "/")
	switch kind {
	case "audio", "video":
		return false
	case "text":
		return form != "event-stream"
	case "application":
		return form == "json" || form == "xml" || form == "text" || strings.HasSuffix(form, "+json") || strings.HasSuffix(form, "+xml")
	}
	return true
}

func (w *writer) head() {
	if !w.done {
		w.WriteHeader(http.StatusOK)
	}
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	w.head()
	if !w.replaced {
		return w.ResponseWriter.Write(p)
	}
	if w.thrown += len(p); w.thrown > patience {
		return 0, errReplaced
	}
	return len(p), nil
}

// ReadFrom lets the writer below take a body as it can best.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	w.head()
	if !w.replaced {
		return io.Copy(w.ResponseWriter, src)
	}
	return io.Copy(io.Discard, io.LimitReader(src, patience))
}

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is Flush for http.ResponseController.
func (w *writer) FlushError() error {
	w.head()
	if w.replaced {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.replaced {
		return nil, nil, http.ErrNotSupported
	}
	w.done = true
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// settle is deferred around the handler. An answer that has been replaced is
// whole, so that the end of the other body, even an abort, does not concern it.
func (w *writer) settle() {
	if !w.replaced {
		return
	}
	if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // this value is compared by identity
		panic(p)
	}
	explain(w.r, w.reason)
	for name := range w.Header() {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			delete(w.Header(), name)
		}
	}
}
