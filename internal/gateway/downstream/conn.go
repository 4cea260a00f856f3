// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package downstream

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/http1"
	"gateway.jkaninda.dev/goma/internal/gateway/limit"
	"gateway.jkaninda.dev/goma/internal/gateway/proxyprotocol"
)

// Conn is one connection of a client.
type Conn struct {
	server *Server
	net    net.Conn
	// plain is the connection when nothing is between it and the bodies.
	plain  *net.TCPConn
	tls    *tls.ConnectionState
	peer   netip.AddrPort
	reader *http1.Reader
	stream Stream

	read, write limit.Deadline
	// linger: the client may still send what nobody reads.
	linger bool

	// address is that of the client as text, once somebody wants it.
	address string

	// number counts requests, and serving tells that one is being served.
	number  atomic.Uint64
	serving atomic.Bool
	// seen belongs to the patrol. lost: the client has gone.
	seen uint64
	lost atomic.Bool
	// interest is that of requests that are served as Streams, current that of
	// the request that a handler serves.
	interest exchange.Interest
	current  atomic.Pointer[exchange.Interest]

	mu sync.Mutex

	// idle: it waits for a request. hurried: it is to end when it has none.
	idle, hurried bool
}

func newConn(s *Server, c net.Conn) *Conn {
	conn := &Conn{server: s, net: c, reader: http1.NewReader(c, s.o.Limits)}
	conn.plain, _ = c.(*net.TCPConn)
	if named, ok := c.(*proxyprotocol.Conn); ok {
		conn.plain, _ = named.NetConn().(*net.TCPConn) // bodies are only written to it
	}
	if t, ok := c.(*tls.Conn); ok {
		state := t.ConnectionState()
		conn.tls = &state
	}
	if at, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		conn.peer = at
	}
	conn.stream.conn = conn
	conn.interest.Exchange = &conn.stream.own
	return conn
}

// serve takes request after request.
func (c *Conn) serve() {
	wait := c.server.o.HeadTimeout // for the first one
	for c.await(wait) {
		more, err := c.head()
		if err != nil {
			c.fault(err)
			break
		}
		if !more || !c.stream.serve() {
			break
		}
		if c.stream.taken {
			return
		}
		wait = c.server.timeouts.Load().Idle
	}
	if c.stream.taken {
		return
	}
	c.end()
}

// await waits for the first bytes of a request.
func (c *Conn) await(d time.Duration) bool {
	c.reader.SkipEmptyLine()
	if len(c.reader.Buffered()) > 0 {
		return true
	}
	c.reader.Shrink()
	c.read.Within(c.net.SetReadDeadline, time.Now(), d)
	var err error
	if c.rest(true) {
		err = c.reader.Fill()
	}
	if c.rest(false) {
		return err == nil
	}
	// The deadline was moved behind our back.
	patience := lastWordTimeout
	if c.number.Load() == 0 {
		patience = firstWordTimeout
	}
	c.read.Exactly(c.net.SetReadDeadline, time.Now(), patience)
	return len(c.reader.Buffered()) > 0 || c.reader.Fill() == nil
}

// These are for a request that is on its way while the connection is told to end.
// One that has just been made was made for a request.
const (
	lastWordTimeout  = 20 * time.Millisecond
	firstWordTimeout = time.Second
)

// rest notes whether the connection idles. It is false once it is to end.
func (c *Conn) rest(idle bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = idle
	return !c.hurried
}

// hurry ends the connection when it has no request.
func (c *Conn) hurry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hurried {
		return
	}
	c.hurried = true
	if c.idle {
		_ = c.net.SetReadDeadline(time.Unix(1, 0))
	}
}

// preface begins a connection that speaks HTTP/2 (RFC 9113 §3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// head reads the head of a request. It is false when the client has ended the
// connection, or has taken another protocol to it.
func (c *Conn) head() (more bool, err error) {
	s := &c.stream
	for first := true; ; first = false {
		if c.number.Load() == 0 && c.server.o.HTTP2 != nil && begins(c.reader.Buffered(), preface) {
			if len(c.reader.Buffered()) >= len(preface) {
				c.handOver()
				return false, nil
			}
		} else if ok, err := c.reader.NextRequest(&s.Head); ok || err != nil {
			return true, err
		}
		if first {
			c.read.Exactly(c.net.SetReadDeadline, time.Now(), c.server.o.HeadTimeout)
		}
		if err := c.reader.Fill(); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && !begins(c.reader.Buffered(), preface) {
				return true, http1.ErrHeadTimeout
			}
			return false, nil
		}
	}
}

// begins tells that one is the beginning of the other.
func begins(have []byte, want string) bool {
	n := min(len(have), len(want))
	return string(have[:n]) == want[:n]
}

func (c *Conn) handOver() {
	c.stream.taken = true
	c.read.Never(c.net.SetReadDeadline)
	c.server.o.HTTP2(&replayed{Conn: c.net, before: bytes.Clone(c.reader.Buffered())})
}

// replayed is a connection of which something has been read.
type replayed struct {
	net.Conn

	before []byte
}

// Read implements io.Reader.
func (r *replayed) Read(p []byte) (int, error) {
	if len(r.before) > 0 {
		n := copy(p, r.before)
		r.before = r.before[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}

// CloseWrite ends our half.
func (r *replayed) CloseWrite() error {
	if half, ok := r.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// NetConn gives the connection below.
func (r *replayed) NetConn() net.Conn { return r.Conn }

// fault has a request answered that could not be read.
func (c *Conn) fault(err error) {
	fault, ok := errors.AsType[*http1.Error](err)
	if !ok {
		return
	}
	c.linger = true
	c.stream.Fault = fault
	c.stream.serve()
}

// lose ends the interest in the request that is being served.
func (c *Conn) lose(reason error) {
	c.lost.Store(true)
	c.interest.Lose(reason)
	if i := c.current.Load(); i != nil {
		i.Lose(reason)
	}
}

// breakOff ends the connection at once, without waiting for anything.
func (c *Conn) breakOff() { _ = bottom(c.net).Close() }

const (
	lingerTime  = 2 * time.Second
	lingerBytes = 1 << 20
)

// end closes the connection. A client that still sends would have its answer taken
// away by the reset that it gets for it; so it is listened to for a while.
func (c *Conn) end() {
	if c.linger && c.closeWrite() == nil {
		c.read.Exactly(c.net.SetReadDeadline, time.Now(), lingerTime)
		var sink [4 << 10]byte
		for left := lingerBytes; left > 0; {
			n, err := c.net.Read(sink[:])
			if err != nil {
				break
			}
			left -= n
		}
	}
	_ = c.net.Close()
}

func (c *Conn) closeWrite() error {
	if half, ok := c.net.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// abort ends the connection so that nobody takes the answer for a whole one. H11
func (c *Conn) abort() {
	if t, ok := bottom(c.net).(*net.TCPConn); ok && c.stream.untilClose() {
		_ = t.SetLinger(0)
	}
	c.breakOff()
}
