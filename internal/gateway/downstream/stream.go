// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package downstream

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/http1"
	"gateway.jkaninda.dev/goma/internal/gateway/limit"
)

// Stream is one request and its answer. It belongs to the goroutine that serves it,
// and only until Serve returns; what it gives as a string may be kept.
type Stream struct {
	// Head is the head of the request, by offsets into Text.
	Head http1.Request
	// Text is the bytes of the head.
	Text string
	// Fault, if set, is why the request could not be read; Head is empty then.
	Fault *http1.Error

	id   string
	conn *Conn
	own  exchange.Exchange
	body http1.Body
	// whole is the body, if it was taken by Whole.
	whole []byte
	in    limit.Pace
	out   limit.Pace
	// handler is what a handler sees of the request, once it was asked for.
	handler *request
	// taken: the connection is not ours any more.
	taken bool

	answer
}

// serve has a request served and tells whether the connection goes on.
func (s *Stream) serve() (more bool) {
	c := s.conn
	s.begin()
	c.number.Add(1)
	c.serving.Store(true)
	defer c.serving.Store(false)
	defer s.recover(&more)
	c.server.o.Serve(s)
	return s.end()
}

func (s *Stream) begin() {
	t := s.conn.server.timeouts.Load()
	if s.Fault != nil {
		// What there is of a head may be anything.
		s.Head = http1.Request{Head: http1.Head{Fields: s.Head.Fields[:0], Minor: 1, Close: true}}
	}
	// One allocation holds the head and a name for the request.
	s.buffer = exchange.AppendID(append(s.buffer[:0], s.Head.Bytes...))
	text := string(s.buffer)
	s.Text, s.id = text[:len(text)-exchange.IDBytes], text[len(text)-exchange.IDBytes:]
	s.body.Reset(s.conn.reader, &s.Head.Head)
	s.own = exchange.Exchange{Start: time.Now()}
	s.in = limit.Pace{Limit: t.Read, Rate: minRate}
	if s.Head.Length < 0 {
		s.in.Rate = minStreamRate
	}
	s.handler, s.whole = nil, nil
	s.answer = answer{buffer: s.buffer[:0]}
	s.out = limit.Pace{Limit: t.Write, Rate: minRate}
}

// The least that a client must take or send, in bytes per second, once it has used
// up one timeout of waiting. A body of unknown length may be a stream with pauses.
const (
	minRate       = 240
	minStreamRate = 1
)

// ID is a name for the request that no other has.
func (s *Stream) ID() string { return s.id }

// Exchange gives what is known of the request.
func (s *Stream) Exchange() *exchange.Exchange {
	if s.handler != nil {
		return &s.handler.exchange
	}
	return &s.own
}

// Interest is the client's interest in the answer.
func (s *Stream) Interest() *exchange.Interest {
	if s.handler != nil {
		return &s.handler.interest
	}
	return &s.conn.interest
}

// Peer is the other end of the connection.
func (s *Stream) Peer() netip.Addr { return s.conn.peer.Addr() }

// TLS is the state of the connection's TLS; nil without.
func (s *Stream) TLS() *tls.ConnectionState { return s.conn.tls }

// Method is that of the request line.
func (s *Stream) Method() string { return s.Head.Method.In(s.Text) }

// Target is that of the request line, as it came.
func (s *Stream) Target() string { return s.Head.Target.In(s.Text) }

// Values gives the values of all fields with a name, in order.
func (s *Stream) Values(name string) (values []string) {
	for i := range s.Head.Fields {
		f := &s.Head.Fields[i]
		if equalName(f.Name.In(s.Text), name) {
			values = append(values, f.Value.In(s.Text))
		}
	}
	return values
}

func equalName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		if x |= 0x20; x != y|0x20 || x < 'a' || x > 'z' {
			return false
		}
	}
	return true
}

// Whole takes the body of the request if all of it has arrived and it has a known
// length. It holds until the answer is begun, and may be asked for again.
func (s *Stream) Whole() (body []byte, ok bool) {
	if s.Head.Length == 0 || s.whole != nil {
		return s.whole, true
	}
	s.whole, ok = s.body.Whole()
	return s.whole, ok
}

// ErrPause says that the client has sent nothing for a moment. The next Read goes on
// waiting, for as long as the client may pause.
var ErrPause = errors.New("the client pauses")

// glance is how long Read waits at least before it gives ErrPause, and a little more
// than a second at most: the deadline is moved as seldom as that of other reads.
const glance = 250 * time.Millisecond

// Read implements io.Reader for the body of the request, as http1.Body does, but for
// ErrPause. An interim response 100 must have been sent where the client waits for one.
func (s *Stream) Read(p []byte) (int, error) {
	c := s.conn
	s.begunBody = true
	if s.arrived() {
		return s.body.Read(p)
	}
	began := time.Now()
	c.read.Within(c.net.SetReadDeadline, began, min(glance, s.in.Next()))
	n, err := s.body.Read(p)
	s.in.Note(n, time.Since(began))
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && s.in.Next() > 0 {
		s.body.Retry()
		return 0, ErrPause
	}
	return n, err
}

// More tells that more of the body is likely to be had without waiting.
func (s *Stream) More() bool { return !s.body.Ended() && (s.arrived() || s.conn.reader.Full()) }

// arrived tells that a part of the body can be had without waiting.
func (s *Stream) arrived() bool { return s.Head.Length > 0 && len(s.conn.reader.Buffered()) > 0 }

// Trailer gives the trailer of the request, once its body has been read.
func (s *Stream) Trailer() *http1.Head { return s.body.Trailer() }

// Bounds on the rest of a body that nobody wanted.
const (
	drainBytes = 256 << 10
	drainTime  = 5 * time.Second
)

// drain reads what is left of the body, so that the next request can be read.
func (s *Stream) drain() bool {
	if s.body.Ended() {
		return true
	}
	c := s.conn
	if s.Head.Continue && !s.continued {
		return false // the client decides whether it sends it
	}
	if s.Head.Length > drainBytes {
		return false
	}
	c.read.Exactly(c.net.SetReadDeadline, time.Now(), drainTime)
	for left := drainBytes; left > 0; {
		part, err := s.body.Next()
		if err != nil {
			return s.body.Ended()
		}
		left -= len(part)
	}
	return false
}

// takeOver gives the connection away; Serve must not return before its end.
func (s *Stream) takeOver() (c net.Conn, buffered []byte) {
	s.hijacked = true
	s.conn.read.Never(s.conn.net.SetReadDeadline)
	s.conn.write.Never(s.conn.net.SetWriteDeadline)
	return s.conn.net, s.conn.reader.Buffered()
}

// BodyEnded tells that the whole body of the request has been taken.
func (s *Stream) BodyEnded() bool { return s.body.Ended() }

// Received gives how many bytes of the body of the request have been taken.
func (s *Stream) Received() int64 { return s.body.Count() }

// Value gives the value of the first field with an ID; empty without one.
func (s *Stream) Value(id http1.ID) string {
	for i := range s.Head.Fields {
		if f := &s.Head.Fields[i]; f.ID == id {
			return f.Value.In(s.Text)
		}
	}
	return ""
}
