// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2/hpack"

	"gateway.jkaninda.dev/goma/internal/gateway/http1"
)

// head is a head that is being read: of a request, or the trailer of one.
type head struct {
	// open: its frames go on. stream and end are those of the first.
	open   bool
	stream uint32
	end    bool
	// selfish: the stream depends on itself.
	selfish bool
	// block is what there is of it, as it is on the wire, and frames how many.
	block  []byte
	frames int

	// Of what has been decoded. size is as RFC 9113 §6.5.2 has it.
	size, most int
	large      bool
	fault      string
	method, scheme, authority, path,
	protocol string
	pseudos uint8
	fields  []hpack.HeaderField
}

// The bounds on a head on the wire beside those of its fields.
const (
	maxHeadFrames = 32
	perField      = 32
)

// The pseudo-header fields of a request.
const (
	pseudoMethod = 1 << iota
	pseudoScheme
	pseudoAuthority
	pseudoPath
	pseudoOther
)

func (c *conn) takeHeaders(f *frame) error {
	block, selfish, err := f.content()
	if err != nil {
		return err
	}
	if f.stream%2 == 0 {
		return &connError{codeProtocol, "a stream of the client with an even number"}
	}
	h := &c.head
	h.stream, h.end, h.selfish = f.stream, f.has(flagEndStream), selfish
	h.block, h.frames = h.block[:0], 1
	if f.has(flagEndHeaders) {
		return c.takeHead(block)
	}
	h.open = true
	if c.since.IsZero() {
		c.since = time.Now()
	}
	h.block = append(h.block, block...)
	return nil
}

func (c *conn) takeContinuation(f *frame) error {
	h := &c.head
	if !h.open {
		return &connError{codeProtocol, "a continuation of nothing"}
	}
	if h.frames++; h.frames > maxHeadFrames || len(h.block)+len(f.payload) > 2*h.most {
		return &connError{codeEnhanceCalm, "a head without end"}
	}
	h.block = append(h.block, f.payload...)
	if !f.has(flagEndHeaders) {
		return nil
	}
	h.open, c.since = false, time.Time{}
	err := c.takeHead(h.block)
	if cap(h.block) > startBytes {
		h.block = nil
	}
	return err
}

// takeHead decodes a whole head, which keeps the tables of both sides the same, and
// then looks whose it is.
func (c *conn) takeHead(block []byte) error {
	h := &c.head
	h.reset()
	c.decoder.SetEmitEnabled(true)
	_, err := c.decoder.Write(block)
	if err == nil {
		err = c.decoder.Close()
	}
	switch {
	case errors.Is(err, hpack.ErrStringLength):
		return &connError{codeEnhanceCalm, "a field is too large"}
	case err != nil:
		return &connError{codeCompression, "a head that cannot be decoded"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if st := c.streams[h.stream]; st != nil {
		return c.takeTrailer(st)
	}
	if h.stream <= c.last {
		if c.shed.has(h.stream) {
			if h.end {
				c.shed.forget(h.stream)
			}
			return nil
		}
		return &connError{codeProtocol, "a stream that has ended begins"}
	}
	if c.final {
		return nil // the client knows which was the last
	}
	c.last = h.stream
	return c.begin()
}

func (h *head) reset() {
	clear(h.fields)
	h.fields = h.fields[:0]
	h.size, h.large, h.fault, h.pseudos = 0, false, "", 0
	h.method, h.scheme, h.authority, h.path, h.protocol = "", "", "", "", ""
}

// field is called for each field that is decoded.
func (h *head) field(f hpack.HeaderField) {
	if h.size += len(f.Name) + len(f.Value) + perField; h.size > h.most {
		h.large = true
		return
	}
	if strings.HasPrefix(f.Name, ":") {
		h.pseudo(f)
		return
	}
	if fault := faulty(f.Name, f.Value); fault != "" {
		h.fault = fault
		return
	}
	h.fields = append(h.fields, f)
}

func (h *head) pseudo(f hpack.HeaderField) {
	into, bit := (*string)(nil), uint8(pseudoOther)
	switch f.Name {
	case ":method":
		into, bit = &h.method, pseudoMethod
	case ":scheme":
		into, bit = &h.scheme, pseudoScheme
	case ":authority":
		into, bit = &h.authority, pseudoAuthority
	case ":path":
		into, bit = &h.path, pseudoPath
	}
	if h.pseudos&bit != 0 || bit == pseudoOther || len(h.fields) > 0 || !http1.ValidValue(f.Value) {
		h.fault = "a pseudo-header field that has no place there"
	}
	h.pseudos |= bit
	if into != nil {
		*into = f.Value
	}
}

// faulty tells why a field makes a head malformed (RFC 9113 §8.2).
func faulty(name, value string) string {
	if !http1.ValidName(name) {
		return "a field with a name that is none"
	}
	for i := range len(name) {
		if 'A' <= name[i] && name[i] <= 'Z' {
			return "a field with upper-case letters in its name"
		}
	}
	if !http1.ValidValue(value) {
		return "a field with a value that is none"
	}
	switch name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		return "a field of HTTP/1.1 connections"
	case "te":
		if value != "trailers" {
			return "a TE field that asks for more than trailers"
		}
	}
	return ""
}

// malformed tells why a head is none of a request (RFC 9113 §8.3.1).
func (h *head) malformed() string {
	const needed = pseudoMethod | pseudoScheme | pseudoPath
	switch {
	case h.fault != "":
		return h.fault
	case h.method == http.MethodConnect:
		if h.pseudos != pseudoMethod|pseudoAuthority || h.authority == "" {
			return "a CONNECT with more than an authority"
		}
		return ""
	case h.large:
		return ""
	case h.pseudos&needed != needed, h.path == "", !http1.ValidName(h.method):
		return "a request without method, scheme and path"
	case strings.ContainsAny(h.path, " \t"), strings.ContainsAny(h.authority, " \t"):
		return "a target with blanks"
	}
	return ""
}

// length gives the length that a head says; -1 when it says none.
func (h *head) length() (n int64, ok bool) {
	n = -1
	for i := range h.fields {
		if h.fields[i].Name != "content-length" {
			continue
		}
		said, err := strconv.ParseUint(h.fields[i].Value, 10, 63)
		if err != nil || n >= 0 && n != int64(said) { //nolint:gosec // 63 bits
			return 0, false
		}
		n = int64(said) //nolint:gosec // 63 bits
	}
	return n, true
}

// begin begins the stream of a request; c.mu is held.
func (c *conn) begin() error {
	h := &c.head
	declared, ok := h.length()
	if h.large {
		declared, ok = -1, true
	}
	switch fault := h.malformed(); {
	case h.selfish:
		return &streamError{codeProtocol, "a stream that depends on itself"}
	case fault != "":
		return &streamError{codeProtocol, fault}
	case !ok, h.end && declared > 0:
		return &streamError{codeProtocol, "a length that cannot be"}
	case len(c.streams) >= c.server.o.MaxStreams, c.running >= c.server.o.MaxStreams:
		return &streamError{codeRefusedStream, "too many streams"}
	}
	st := newStream(c, declared)
	c.streams[st.id] = st
	c.running++
	r := st.request(h)
	handler := c.server.o.Handler
	if h.large {
		handler = c.server.o.TooLarge
	}
	c.handlers.Add(1)
	go st.serve(handler, r)
	return nil
}

// takeTrailer takes the fields behind a body; c.mu is held.
func (c *conn) takeTrailer(st *stream) error {
	h := &c.head
	switch {
	case st.inEnded:
		return &streamError{codeStreamClosed, "a head behind the end of a stream"}
	case !h.end:
		return &streamError{codeProtocol, "a head within a body"}
	case h.selfish, h.pseudos != 0, h.fault != "":
		return &streamError{codeProtocol, "a trailer that is malformed"}
	case h.large:
		return &streamError{codeEnhanceCalm, "a trailer that is too large"}
	case !st.whole():
		return &streamError{codeProtocol, "a body that is not as long as it says"}
	}
	st.trailers = slices.Clone(h.fields)
	st.inEnded = true
	signal(st.readable)
	c.closeIfDone(st)
	return nil
}
