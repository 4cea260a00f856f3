// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package downstream

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/http1"
	"gateway.jkaninda.dev/goma/internal/gateway/limit"
)

// writer is the answer as handlers know it: it does what net/http documents for an
// http.ResponseWriter, and all that http.ResponseController can ask for.
type writer struct {
	request *request
	header  http.Header

	// mu is held while something is written, since the first read of a body that
	// the client holds back writes too, perhaps in another goroutine.
	mu sync.Mutex

	// status is that of WriteHeader. head holds the head without its framing,
	// and then body what was written, until either must go out.
	status int
	head   []byte
	body   []byte
	length int64
	// headed: the head is complete and in the Stream's hands.
	headed   bool
	trailers []string
	ended    bool
	// over is ended for those that must not wait for a write that blocks.
	over atomic.Bool
}

var (
	_ http.ResponseWriter = (*writer)(nil)
	_ http.Flusher        = (*writer)(nil)
	_ http.Hijacker       = (*writer)(nil)
	_ io.StringWriter     = (*writer)(nil)
)

// Header implements http.ResponseWriter.
func (w *writer) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header, 8)
	}
	return w.header
}

// WriteHeader implements http.ResponseWriter. An informational head is sent at
// once; of the others the first counts.
func (w *writer) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ended || w.status != 0:
	case status >= 100 && status < 200 && status != http.StatusSwitchingProtocols:
		w.interim(status)
	default:
		w.begin(status)
	}
}

func (w *writer) interim(status int) {
	s := w.request.stream
	if status == http.StatusContinue {
		_ = s.Continue() // a broken connection is noticed with the answer
		return
	}
	_ = s.Interim(status, appendHeader(nil, w.header, nil)) // as above
}

// begin writes the head as it is now; later changes have no effect.
func (w *writer) begin(status int) {
	s := w.request.stream
	w.status, w.length = status, Unknown
	if declared := w.header["Content-Length"]; len(declared) > 0 {
		if n, err := strconv.ParseInt(declared[0], 10, 64); err == nil && n >= 0 {
			w.length = n
		}
	}
	if hasToken(w.header["Connection"], "close") {
		s.last = true
	}
	w.announce()
	w.head = appendHeader(s.Begin(status), w.header, w.trailers)
	if _, ok := w.header["Date"]; !ok {
		w.head = http1.AppendDate(w.head, time.Now())
	}
}

// announce notes the names of the trailers, which are not part of the head.
func (w *writer) announce() {
	for _, line := range w.header["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			w.trailers = append(w.trailers, http.CanonicalHeaderKey(strings.Trim(name, " \t")))
		}
	}
}

// appendHeader appends the fields of a head, in the order of their names, but for
// those of framing and connection, which are the Stream's. What could break out of
// its line is left out. P9
func appendHeader(dst []byte, h http.Header, trailers []string) []byte {
	var few [24]string
	names := few[:0]
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch id := http1.Identify(name); {
		case id == http1.ContentLength, id.HopByHop() && id != http1.Trailer, id == http1.TransferEncoding:
			continue
		case strings.HasPrefix(name, http.TrailerPrefix), !http1.ValidName(name), slices.Contains(trailers, name):
			continue
		}
		for _, value := range h[name] {
			if http1.ValidValue(value) {
				dst = http1.AppendField(dst, name, value)
			}
		}
	}
	return dst
}

func hasToken(lines []string, want string) bool {
	for _, line := range lines {
		for token := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(token, " \t"), want) {
				return true
			}
		}
	}
	return false
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return write(w, p)
}

// WriteString implements io.StringWriter.
func (w *writer) WriteString(p string) (int, error) { return w.Write([]byte(p)) }

// holdBytes is how much of a body waits for its end, which tells its length.
const holdBytes = 2 << 10

func write(w *writer, p []byte) (int, error) {
	s := w.request.stream
	if w.ended {
		return 0, http.ErrHandlerTimeout
	}
	if s.hijacked {
		return 0, http.ErrHijacked
	}
	if w.status == 0 {
		w.sniff(p)
		w.begin(http.StatusOK)
	}
	if s.broken {
		return 0, net.ErrClosed
	}
	if s.Bodiless(w.status) {
		if w.status == http.StatusNotModified || w.status == http.StatusNoContent {
			return 0, http.ErrBodyNotAllowed
		}
		w.body = w.body[:0]
		return len(p), nil
	}
	if w.length >= 0 && s.sent+int64(len(w.body)+len(p)) > w.length {
		return 0, http.ErrContentLength
	}
	if len(p) == 0 {
		return 0, nil
	}
	if !w.headed {
		if len(w.body)+len(p) <= holdBytes {
			w.body = append(w.body, p...)
			return len(p), nil
		}
		if err := w.send(true); err != nil {
			return 0, err
		}
	}
	return len(p), s.Send(p)
}

// sniff guesses the type of a body that has none, as net/http does.
func (w *writer) sniff(p []byte) {
	h := w.Header()
	if _, ok := h["Content-Type"]; !ok && len(p) > 0 && h.Get("Content-Encoding") == "" {
		h["Content-Type"] = []string{http.DetectContentType(p)}
	}
}

// send hands the head to the Stream, with what there is of the body.
func (w *writer) send(more bool) error {
	s := w.request.stream
	length := w.length
	if more = more || w.hasTrailer(); !more && length < 0 && !s.Bodiless(w.status) {
		length = int64(len(w.body))
	}
	w.headed = true
	first := w.body
	w.body = nil
	s.Start(w.head, length)
	return s.Send(first)
}

func (w *writer) hasTrailer() bool {
	if len(w.trailers) > 0 {
		return true
	}
	for name := range w.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			return true
		}
	}
	return false
}

// FlushError sends what there is.
func (w *writer) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return http.ErrHandlerTimeout
	}
	if w.status == 0 {
		w.begin(http.StatusOK)
	}
	if !w.headed {
		if err := w.send(true); err != nil {
			return err
		}
	}
	return w.request.stream.Flush()
}

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// goOn tells a client that waits for it to send its body.
func (w *writer) goOn() error {
	s := w.request.stream
	if !s.Head.Continue {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status != 0 {
		return nil
	}
	return s.Continue()
}

// end completes the answer of a handler that is done.
func (w *writer) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.request.stream
	w.ended = true
	w.over.Store(true)
	if s.hijacked || s.broken {
		return
	}
	if w.status == 0 {
		w.begin(http.StatusOK)
	}
	var err error
	if !w.headed {
		err = w.send(false)
	}
	if err == nil {
		err = s.SendEnd(w.trailer())
	}
	if err != nil {
		s.broken = true
	}
}

// trailer gives the fields after the body: those that were announced, and those
// with http.TrailerPrefix.
func (w *writer) trailer() (lines []byte) {
	field := func(name string, values []string) {
		switch id := http1.Identify(name); {
		case id.HopByHop(), id == http1.ContentLength, id == http1.TransferEncoding, id == http1.Host, !http1.ValidName(name):
			return
		}
		for _, value := range values {
			if http1.ValidValue(value) {
				lines = http1.AppendField(lines, name, value)
			}
		}
	}
	for _, name := range w.trailers {
		field(name, w.header[name])
	}
	for name, values := range w.header {
		if rest, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			field(rest, values)
		}
	}
	return lines
}

// Hijack implements http.Hijacker. The handler must not return before it is done
// with the connection.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.request.stream
	if w.ended || s.hijacked {
		return nil, nil, http.ErrHijacked
	}
	conn, ahead := s.takeOver()
	in := io.MultiReader(bytes.NewReader(bytes.Clone(ahead)), conn)
	return conn, bufio.NewReadWriter(bufio.NewReader(in), bufio.NewWriter(conn)), nil
}

// EnableFullDuplex implements what http.ResponseController asks for; bodies may
// always overlap.
func (w *writer) EnableFullDuplex() error { return nil }

// SetReadDeadline implements what http.ResponseController asks for.
func (w *writer) SetReadDeadline(t time.Time) error {
	if w.over.Load() {
		return http.ErrHandlerTimeout // the connection has another request now. H12
	}
	c := w.request.stream.conn
	c.read = limit.Deadline{} // whatever it was
	return c.net.SetReadDeadline(t)
}

// SetWriteDeadline implements what http.ResponseController asks for.
func (w *writer) SetWriteDeadline(t time.Time) error {
	if w.over.Load() {
		return http.ErrHandlerTimeout // the connection has another request now. H12
	}
	c := w.request.stream.conn
	c.write = limit.Deadline{} // as above
	return c.net.SetWriteDeadline(t)
}
