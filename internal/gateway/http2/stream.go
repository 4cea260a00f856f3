// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http2/hpack"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// stream is one request and its answer. It is left to the garbage collector, so whoever
// keeps a part of it keeps that request. H12
type stream struct {
	conn   *conn
	id     uint32
	method string

	interest exchange.Interest
	url      url.URL
	body     body
	writer   writer
	// values backs the values of most fields.
	values [16]string

	readable, writable chan struct{}

	// What follows is guarded by the mutex of the connection.

	// in[read:] is what came of the body and was not read.
	in   []byte
	read int
	// declared is the length of the body; -1 if it is not known. received counts it.
	declared, received int64
	recvWindow, owed   int
	sendWindow         int64
	trailers           []hpack.HeaderField
	// inEnded: the client has sent all. outEnded: we have. done: the handler has
	// returned. closed: there is no stream any more, for the reason err.
	inEnded, outEnded, done, closed bool
	err                             error
	readBy, writeBy                 time.Time
}

// errReset is a request that its client has given up.
var errReset = errors.New("the client has reset the stream")

func newStream(c *conn, declared int64) *stream {
	st := &stream{
		conn: c, id: c.head.stream, method: c.head.method, declared: declared, inEnded: c.head.end,
		// A client that has not read our settings yet goes by the window that all begin with.
		recvWindow: max(c.server.o.StreamWindow, firstWindow), sendWindow: c.streamWindow,
		readable: make(chan struct{}, 1), writable: make(chan struct{}, 1),
	}
	st.body.stream, st.writer.stream = st, st
	st.interest.Parent = c.ctx
	return st
}

// base gives requests their context, which cannot be set otherwise.
var base http.Request

// request makes the request of a head.
func (st *stream) request(h *head) *http.Request {
	r := base.WithContext(&st.interest)
	r.Method, r.Host, r.RequestURI = h.method, h.authority, h.path
	r.Proto, r.ProtoMajor = "HTTP/2.0", 2
	r.RemoteAddr = st.conn.remote
	path, query, asked := strings.Cut(h.path, "?")
	st.url = url.URL{Path: path, RawQuery: query, ForceQuery: asked && query == ""}
	if r.Method == http.MethodConnect {
		r.RequestURI = h.authority
	}
	r.URL = &st.url
	r.Header = st.header(h)
	if host := r.Header["Host"]; r.Host == "" && len(host) > 0 {
		r.Host = host[0]
	}
	r.Body, r.ContentLength = http.NoBody, 0
	if !st.inEnded {
		r.Body, r.ContentLength = &st.body, st.declared
		st.body.expected = strings.EqualFold(r.Header.Get("Expect"), "100-continue")
		r.Trailer = announced(r.Header["Trailer"])
		st.body.trailer = r.Trailer
	}
	delete(r.Header, "Trailer")
	return r
}

// header makes the header of a head. The parts of a cookie become one field again
// (RFC 9113 §8.2.3).
func (st *stream) header(h *head) http.Header {
	out := make(http.Header, len(h.fields))
	values := st.values[:0]
	for i := range h.fields {
		name, value := http.CanonicalHeaderKey(h.fields[i].Name), h.fields[i].Value
		before, ok := out[name]
		switch {
		case !ok:
			values = append(values, value)
			out[name] = values[len(values)-1 : len(values) : len(values)]
		case name == "Cookie":
			before[0] += "; " + value
		default:
			out[name] = append(before, value)
		}
	}
	return out
}

// announced gives the names of trailers, but for those that have no place in one.
func announced(lines []string) (names http.Header) {
	for _, line := range lines {
		for name := range strings.SplitSeq(line, ",") {
			switch name = http.CanonicalHeaderKey(strings.Trim(name, " \t")); name {
			case "", "Transfer-Encoding", "Content-Length", "Trailer", "Host":
				continue
			}
			if names == nil {
				names = http.Header{}
			}
			names[name] = nil
		}
	}
	return names
}

// serve has a request served.
func (st *stream) serve(handler http.Handler, r *http.Request) {
	c := st.conn
	defer c.handlers.Done()
	defer st.finish()
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p != http.ErrAbortHandler && c.server.o.Panicked != nil { //nolint:errorlint // this value is compared by identity
			c.server.o.Panicked(p)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.resetStream(st, codeInternal)
	}()
	handler.ServeHTTP(&st.writer, r)
	st.writer.end()
}

// errServed ends the context of a request that was served.
const errServed = served("the request has been served")

type served string

func (e served) Error() string { return string(e) }

// finish is when the handler has returned. What the client still sends is not wanted.
func (st *stream) finish() {
	c := st.conn
	c.mu.Lock()
	st.done = true
	c.running--
	c.giveBack(nil, len(st.in)-st.read)
	st.in, st.read = nil, 0
	signal(st.readable) // of another goroutine that reads
	signal(st.writable)
	if !st.closed && !st.outEnded {
		c.resetStream(st, codeInternal) // its answer breaks off
	}
	if !st.closed && !st.inEnded {
		c.resetStream(st, codeNone) // RFC 9113 §8.1
	}
	c.mu.Unlock()
	st.interest.Lose(errServed)
}

// takeData takes a part of the body, which was size bytes on the wire; c.mu is held.
func (st *stream) takeData(data []byte, size int, end bool) error {
	c := st.conn
	if st.inEnded {
		return &streamError{codeStreamClosed, "data behind the end of a stream"}
	}
	if st.recvWindow -= size; st.recvWindow < 0 {
		return &streamError{codeFlowControl, "more data than the stream takes"}
	}
	st.received += int64(len(data))
	if st.declared >= 0 && (st.received > st.declared || end && st.received < st.declared) {
		return &streamError{codeProtocol, "a body that is not as long as it says"}
	}
	st.inEnded = end
	if st.done {
		c.giveBack(st, size)
	} else {
		st.in = append(st.in, data...)
		c.giveBack(st, size-len(data)) // nobody reads padding
	}
	signal(st.readable)
	c.closeIfDone(st)
	return nil
}

// whole tells that the body is as long as it was said to be.
func (st *stream) whole() bool { return st.declared < 0 || st.received == st.declared }

// closeIfDone ends a stream that both sides have ended; c.mu is held.
func (c *conn) closeIfDone(st *stream) {
	if st.inEnded && st.outEnded {
		c.closeStream(st, nil)
	}
}

// closeStream is the end of a stream; c.mu is held. With a reason, what is read of its
// body or written of its answer fails.
func (c *conn) closeStream(st *stream, reason error) {
	if st.closed {
		return
	}
	st.closed, st.err = true, reason
	delete(c.streams, st.id)
	if len(c.streams) == 0 {
		c.idleSince = time.Now()
	}
	signal(st.readable)
	signal(st.writable)
	c.endIfDone()
}

// resetStream ends a stream from our side; c.mu is held.
func (c *conn) resetStream(st *stream, with code) {
	if st.closed {
		return
	}
	c.out = appendReset(c.out, st.id, with)
	c.wake.Signal()
	if !st.inEnded {
		c.shed.add(st.id)
	}
	c.closeStream(st, errReset)
}

// resetByID answers a fault of a stream, which may not be one any more.
func (c *conn) resetByID(id uint32, with code) {
	c.mu.Lock()
	st := c.streams[id]
	if st == nil {
		c.out = appendReset(c.out, id, with)
		c.wake.Signal()
		if with != codeStreamClosed && !c.head.end {
			c.shed.add(id)
		}
		c.mu.Unlock()
		return
	}
	c.resetStream(st, with)
	c.mu.Unlock()
	st.interest.Lose(exchange.ErrClientGone)
}
