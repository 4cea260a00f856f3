// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2/hpack"

	"gateway.jkaninda.dev/goma/internal/gateway/http1"
)

// writer is the answer as handlers know it: it does what net/http documents for an
// http.ResponseWriter, and all that http.ResponseController can ask for but hijacking.
type writer struct {
	stream *stream
	header http.Header

	// mu is held while something is written, since the first read of a body that the
	// client holds back writes too, perhaps in another goroutine.
	mu sync.Mutex

	// status is that of WriteHeader. fields are those of the head, and held what was
	// written, until either must go out.
	status int
	fields http.Header
	held   []byte
	// length is that of the body; -1 if it is not known. sent counts it.
	length, sent int64
	headed       bool
	ended        bool
	continued    bool
	trailers     []string
}

var (
	_ http.ResponseWriter = (*writer)(nil)
	_ http.Flusher        = (*writer)(nil)
	_ io.StringWriter     = (*writer)(nil)
)

// Header implements http.ResponseWriter.
func (w *writer) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header, 8)
	}
	return w.header
}

// WriteHeader implements http.ResponseWriter. An informational head is sent at once; of
// the others the first counts.
func (w *writer) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ended || w.status != 0:
	case status == http.StatusContinue:
		w.sendContinue()
	case status >= 100 && status < 200 && status != http.StatusSwitchingProtocols:
		w.informational(status, w.header)
	default:
		w.begin(status)
	}
}

func (w *writer) informational(status int, fields http.Header) {
	st := w.stream
	c := st.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if !st.closed && !st.outEnded {
		c.encodeStatus(status)
		c.encodeHeader(fields, nil)
		c.queueHead(st.id, 0)
	}
}

func (w *writer) sendContinue() {
	if !w.continued {
		w.continued = true
		w.informational(http.StatusContinue, nil)
	}
}

// goOn tells a client that waits for it to send its body.
func (w *writer) goOn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status == 0 && !w.ended {
		w.sendContinue()
	}
}

// begin fixes the head as it is now; later changes have no effect.
func (w *writer) begin(status int) {
	w.status, w.length = status, -1
	h := w.Header()
	if declared := h["Content-Length"]; len(declared) > 0 {
		if n, err := strconv.ParseInt(declared[0], 10, 64); err == nil && n >= 0 {
			w.length = n
		}
	}
	for _, line := range h["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			w.trailers = append(w.trailers, http.CanonicalHeaderKey(strings.Trim(name, " \t")))
		}
	}
	// Handlers may change their header while the head waits.
	w.fields = maps.Clone(h)
}

// bodiless tells whether the answer has no body (RFC 9110 §6.4.1).
func (w *writer) bodiless() bool {
	return w.status < 200 || w.status == http.StatusNoContent || w.status == http.StatusNotModified || w.stream.method == http.MethodHead
}

// holdBytes is how much of a body waits for its end, which tells its length.
const holdBytes = 2 << 10

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return 0, http.ErrHandlerTimeout
	}
	if w.status == 0 {
		w.sniff(p)
		w.begin(http.StatusOK)
	}
	if w.bodiless() {
		if w.status == http.StatusNotModified || w.status == http.StatusNoContent {
			return 0, http.ErrBodyNotAllowed
		}
		return len(p), nil
	}
	if w.length >= 0 && w.sent+int64(len(p)) > w.length {
		return 0, http.ErrContentLength
	}
	if len(p) == 0 {
		return 0, nil
	}
	w.sent += int64(len(p))
	if !w.headed && len(w.held)+len(p) <= holdBytes {
		w.held = append(w.held, p...)
		return len(p), nil
	}
	if err := w.send(false); err != nil {
		return 0, err
	}
	if err := w.stream.sendData(p, false); err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteString implements io.StringWriter.
func (w *writer) WriteString(p string) (int, error) { return w.Write([]byte(p)) }

// sniff guesses the type of a body that has none, as net/http does.
func (w *writer) sniff(p []byte) {
	h := w.Header()
	if _, ok := h["Content-Type"]; !ok && len(p) > 0 && h.Get("Content-Encoding") == "" {
		h["Content-Type"] = []string{http.DetectContentType(p)}
	}
}

// send sends the head, if it has not been sent, and what is held. With end that is all.
func (w *writer) send(end bool) error {
	if w.headed {
		return nil
	}
	w.headed = true
	st := w.stream
	c := st.conn
	held := w.held
	w.held = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	if st.closed || c.broken {
		return errReset
	}
	if c.server.retired.Load() {
		c.retireLocked()
	}
	c.encodeStatus(w.status)
	c.encodeHeader(w.fields, w.trailers)
	if _, ok := w.fields["Content-Length"]; !ok && end && !w.bodiless() {
		c.encode("content-length", strconv.Itoa(len(held)))
	}
	if _, ok := w.fields["Date"]; !ok && w.status >= 200 {
		c.encode("date", c.now())
	}
	w.fields = nil
	last := end && len(held) == 0
	if last {
		st.outEnded = true
		c.queueHead(st.id, flagEndStream)
		c.closeIfDone(st)
		return nil
	}
	c.queueHead(st.id, 0)
	if len(held) > 0 || end {
		return st.queueData(held, end)
	}
	return nil
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
	return w.send(false)
}

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// end completes the answer of a handler that is done.
func (w *writer) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if w.status == 0 {
		w.begin(http.StatusOK)
	}
	if w.length > w.sent && !w.bodiless() {
		_ = w.send(false)
		return // it breaks off
	}
	trailer := w.trailer()
	if !w.headed && len(trailer) == 0 {
		_ = w.send(true) // the client has gone
		return
	}
	if w.send(false) != nil {
		return
	}
	if len(trailer) == 0 {
		_ = w.stream.sendData(nil, true) // as above
		return
	}
	w.stream.sendTrailer(trailer)
}

// trailer gives the fields after the body: those that were announced, and those with
// http.TrailerPrefix.
func (w *writer) trailer() (fields http.Header) {
	add := func(name string, values []string) {
		if len(values) > 0 && http1.Identify(name).InTrailer() {
			if fields == nil {
				fields = http.Header{}
			}
			fields[name] = values
		}
	}
	for _, name := range w.trailers {
		add(name, w.header[name])
	}
	for name, values := range w.header {
		if rest, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			add(rest, values)
		}
	}
	return fields
}

// EnableFullDuplex implements what http.ResponseController asks for; bodies may always
// overlap.
func (w *writer) EnableFullDuplex() error { return nil }

// SetReadDeadline implements what http.ResponseController asks for.
func (w *writer) SetReadDeadline(t time.Time) error {
	st := w.stream
	st.conn.mu.Lock()
	defer st.conn.mu.Unlock()
	st.readBy = t
	signal(st.readable)
	return nil
}

// SetWriteDeadline implements what http.ResponseController asks for.
func (w *writer) SetWriteDeadline(t time.Time) error {
	st := w.stream
	st.conn.mu.Lock()
	defer st.conn.mu.Unlock()
	st.writeBy = t
	signal(st.writable)
	return nil
}

// sendData sends a part of the body, as the client takes it.
func (st *stream) sendData(p []byte, end bool) error {
	st.conn.mu.Lock()
	defer st.conn.mu.Unlock()
	return st.queueData(p, end)
}

// queueData queues a part of the body, and waits for the client to take it where it
// must; the mutex of the connection is held, but for that time.
func (st *stream) queueData(p []byte, end bool) error {
	c := st.conn
	for {
		if st.closed || c.broken {
			return errReset
		}
		n := int(min(int64(len(p)), st.sendWindow, c.sendWindow, int64(c.maxFrame)))
		if len(p) > 0 && (n <= 0 || len(c.out) > maxQueued) {
			if st.sendWindow > 0 {
				c.blocked = append(c.blocked, st)
			}
			if !c.wait(st.writable, st.writeBy) {
				return os.ErrDeadlineExceeded
			}
			continue
		}
		last := end && n == len(p)
		flags := uint8(0)
		if last {
			flags, st.outEnded = flagEndStream, true
		}
		c.out = append(appendFrameHead(c.out, n, frameData, flags, st.id), p[:n]...)
		c.wake.Signal()
		st.sendWindow -= int64(n)
		c.sendWindow -= int64(n)
		if p = p[n:]; len(p) > 0 {
			continue
		}
		c.closeIfDone(st)
		return nil
	}
}

func (st *stream) sendTrailer(fields http.Header) {
	c := st.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if st.closed || c.broken {
		return
	}
	c.encodeHeader(fields, nil)
	st.outEnded = true
	c.queueHead(st.id, flagEndStream)
	c.closeIfDone(st)
}

func (c *conn) encode(name, value string) {
	_ = c.encoder.WriteField(hpack.HeaderField{Name: name, Value: value}) // into memory
}

func (c *conn) encodeStatus(status int) { c.encode(":status", strconv.Itoa(status)) }

// encodeHeader encodes fields, but for those of connections of HTTP/1.1. P9
func (c *conn) encodeHeader(h http.Header, trailers []string) {
	for name, values := range h {
		switch id := http1.Identify(name); {
		case id.HopByHop() && id != http1.Trailer, id == http1.TransferEncoding:
			continue
		case strings.HasPrefix(name, http.TrailerPrefix), !http1.ValidName(name), slices.Contains(trailers, name):
			continue
		}
		lower := c.lowerCase(name)
		for _, value := range values {
			if http1.ValidValue(value) {
				c.encode(lower, value)
			}
		}
	}
}

// maxNames bounds the names that a connection remembers.
const maxNames = 64

// lowerCase gives a name as HTTP/2 writes it.
func (c *conn) lowerCase(name string) string {
	if lower, ok := c.lower[name]; ok {
		return lower
	}
	lower := strings.ToLower(name)
	if c.lower == nil {
		c.lower = make(map[string]string, 16)
	}
	if len(c.lower) < maxNames {
		c.lower[name] = lower
	}
	return lower
}

// queueHead queues what has been encoded as a head.
func (c *conn) queueHead(id uint32, flags uint8) {
	block := c.block.Bytes()
	kind := frameHeaders
	for {
		n := min(len(block), c.maxFrame)
		if n == len(block) {
			flags |= flagEndHeaders
		}
		c.out = append(appendFrameHead(c.out, n, kind, flags, id), block[:n]...)
		if block = block[n:]; len(block) == 0 {
			break
		}
		kind, flags = frameContinuation, 0
	}
	c.block.Reset()
	c.wake.Signal()
}

// now gives the date, which is written once a second.
func (c *conn) now() string {
	now := time.Now()
	if at := now.Unix(); at != c.dateUnix {
		c.dateUnix, c.date = at, now.UTC().Format(http.TimeFormat)
	}
	return c.date
}
