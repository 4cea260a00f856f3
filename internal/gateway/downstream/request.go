// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package downstream

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/http1"
)

// request is all that a handler sees of a Stream. It is made for one request and
// left to the garbage collector, so whoever keeps a part of it keeps that request.
// H12
type request struct {
	stream   *Stream
	exchange exchange.Exchange
	interest exchange.Interest
	url      url.URL
	body     requestBody
	writer   writer
	// values backs the values of most headers.
	values [16]string
}

// base gives requests their context, which cannot be set otherwise.
var base http.Request

// HTTP gives the request, and the writer of its answer, as handlers know them. From
// the first call on the Stream is served through them alone. host, path and the
// raw query are the request's normal form.
func (s *Stream) HTTP(host, path, decoded, query string, hasQuery bool) (http.ResponseWriter, *http.Request) {
	q := &request{stream: s, exchange: s.own}
	q.interest.Exchange = &q.exchange
	s.handler = q
	s.conn.current.Store(&q.interest)
	if s.conn.lost.Load() {
		q.interest.Lose(exchange.ErrClientGone)
	}
	r := base.WithContext(&q.interest)
	r.Method = s.Method()
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, int(s.Head.Minor)
	if s.Head.Minor == 0 {
		r.Proto = "HTTP/1.0"
	}
	q.url = url.URL{Path: decoded, RawPath: path, RawQuery: query, ForceQuery: hasQuery && query == ""}
	r.URL, r.Host = &q.url, host
	r.RequestURI = path
	if hasQuery {
		r.RequestURI += "?" + query
	}
	r.RemoteAddr, r.TLS = s.conn.remote(), s.conn.tls
	r.Close = s.Head.Close
	r.Header = q.header()
	q.setBody(r)
	q.writer.request = q
	return &q.writer, r
}

// header makes the header, without Host and Transfer-Encoding, which are elsewhere
// in a request, without the fields that the client's Connection lists, and without
// what it says of where the request comes from, if it is not trusted: they end here,
// before any handler, so that the client cannot list away what a handler sets, and the
// proxy need not ask who has set it. P6, P7
func (q *request) header() http.Header {
	s := q.stream
	h := make(http.Header, len(s.Head.Fields))
	values := q.values[:0]
	for i := range s.Head.Fields {
		f := &s.Head.Fields[i]
		if f.ID == http1.Host || f.ID == http1.TransferEncoding || !f.ID.HopByHop() && s.Head.EndsHereIn(s.Text, f) {
			continue
		}
		name, value := Canonical(f.Name.In(s.Text)), f.Value.In(s.Text)
		if http1.Forged(f.ID, name, q.exchange.PeerTrusted) {
			continue
		}
		if before, ok := h[name]; ok {
			h[name] = append(before, value)
			continue
		}
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	return h
}

// Canonical gives the canonical form of a field name, without a copy of a name
// that has it.
func Canonical(name string) string {
	start := true
	for i := 0; i < len(name); i++ {
		c := name[i]
		if start && 'a' <= c && c <= 'z' || !start && 'A' <= c && c <= 'Z' {
			return textproto.CanonicalMIMEHeaderKey(name)
		}
		start = c == '-'
	}
	return name
}

func (q *request) setBody(r *http.Request) {
	s := q.stream
	q.body.stream = s
	r.Body, r.ContentLength = http.NoBody, s.Head.Length
	if s.Head.Length == 0 {
		q.body.eof = true
		return
	}
	r.Body = &q.body
	if s.Head.Length != http1.Chunked {
		return
	}
	r.ContentLength = -1
	r.TransferEncoding = []string{"chunked"}
	for i := range s.Head.Fields {
		if f := &s.Head.Fields[i]; f.ID == http1.Trailer {
			r.Trailer = announce(r.Trailer, f.Value.In(s.Text))
		}
	}
	delete(r.Header, "Trailer")
	q.body.trailer = r.Trailer
}

// announce adds the names of a Trailer field, but for those that have no place in
// a trailer (RFC 9110 §6.5.1).
func announce(to http.Header, list string) http.Header {
	for name := range strings.SplitSeq(list, ",") {
		name = http.CanonicalHeaderKey(strings.Trim(name, " \t"))
		switch http1.Identify(name) {
		case http1.TransferEncoding, http1.ContentLength, http1.Trailer, http1.Host:
			continue
		default:
		}
		if name == "" {
			continue
		}
		if to == nil {
			to = http.Header{}
		}
		to[name] = nil
	}
	return to
}

// end is when the handler is done.
func (q *request) end() {
	q.writer.end()
	q.body.end()
	q.stream.conn.current.Store(nil)
	q.interest.Lose(errServed)
}

// errServed ends the context of a request that was served.
const errServed = served("the request has been served")

type served string

func (e served) Error() string { return string(e) }

// remote is the client's address as handlers know it.
func (c *Conn) remote() string {
	if c.address == "" {
		c.address = c.net.RemoteAddr().String()
	}
	return c.address
}
