// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/http1"
	"gateway.jkaninda.dev/goma/internal/gateway/limit"
)

// Conn is a connection to an endpoint that speaks HTTP/1.1, while one request has
// it. The request's own goroutine writes and reads; there is no other.
//
// A request is sent with Out and Send, more of its body with Write; ReadHead reads
// the head of each response, and Body the body of the final one. In the end it is
// given back with Release, which keeps the connection only when nothing is left on
// it that a next request could be confused by. H4, H6
type Conn struct {
	// Out is the buffer for what Send sends.
	Out []byte
	// Head is the response that ReadHead has read, Body its body.
	Head http1.Response
	Body http1.Body

	pool     *connPool
	conn     net.Conn
	tcp      *net.TCPConn // nil with TLS
	reader   *http1.Reader
	socket   socket
	interest *exchange.Interest

	// limits are those of the route that has the connection.
	limits  *limits
	timer   *time.Timer
	expired atomic.Bool

	// epoch is up to which change of the pool's addresses it is known to be current.
	epoch uint32

	read, write limit.Deadline
	idleSince   time.Time
	// reused: it has carried a request before. stale: see Stale. looked: see Look.
	// sent: all of the request is on its way. answered: a byte of the response came.
	// bound: it is as a user now.
	reused, stale, looked, sent, answered, bound bool
}

const (
	outBytes = 4 << 10
	// A buffer that a large head has made grow is not kept.
	maxKeptBytes = 64 << 10
	// sendTimeout is how long the endpoint may take nothing of a request.
	sendTimeout = 60 * time.Second
)

// maxResponse bounds the head of a response.
var maxResponse = http1.Limits{HeadBytes: maxResponseHead, LineBytes: maxResponseHead, Fields: 1024}

func newConn(p *connPool, c net.Conn) *Conn {
	out := &Conn{pool: p, conn: c, limits: &limits{}, Out: make([]byte, 0, outBytes)}
	out.reader = http1.NewReader((*connSource)(out), maxResponse)
	out.tcp, _ = c.(*net.TCPConn)
	out.socket.of(c)
	return out
}

// remote is the address that it leads to.
func (c *Conn) remote() netip.Addr {
	if to, err := netip.ParseAddrPort(c.conn.RemoteAddr().String()); err == nil {
		return to.Addr().Unmap()
	}
	return netip.Addr{}
}

// Cut implements exchange.Cutter. Whoever blocks on the connection gets an error,
// and it is not used again.
func (c *Conn) Cut() {
	if t, ok := c.conn.(*tls.Conn); ok {
		_ = t.NetConn().Close() // without the goodbye, which might block
		return
	}
	_ = c.conn.Close()
}

// TCP gives the connection below, where there is nothing between it and the body.
func (c *Conn) TCP() *net.TCPConn {
	if c.limits.idle > 0 {
		return nil // somebody has to look at the time
	}
	return c.tcp
}

// errStale is a connection that the endpoint has ended while it idled, or has sent
// something on that nobody asked for.
var errStale = errors.New("the connection ended while it idled")

// Send sends Out, on a connection that has been looked at if it has been used before;
// see Stale. With last, that was the whole request, and something has come since, or
// ReadHead tells why not.
func (c *Conn) Send(now time.Time, last bool) (err error) {
	rest := c.Out
	if last && c.tcp != nil && c.socket.raw != nil {
		c.awaitHead(now)
		var n int
		n, err = c.socket.exchange(c.Out, c.reused)
		rest = rest[n:]
	} else if c.reused && !c.socket.alive() {
		err = errStale
	}
	if c.stale = errors.Is(err, errStale) && !c.looked; err == nil && len(rest) > 0 {
		c.write.Within(c.conn.SetWriteDeadline, now, sendTimeout)
		_, err = c.conn.Write(rest)
	}
	c.sent = last && err == nil
	return c.reason(err)
}

// Look is the look of Send, for who cannot take the request back once Send has it.
func (c *Conn) Look() error {
	if c.reused && !c.socket.alive() {
		c.stale = true
		return errStale
	}
	c.looked = true
	return nil
}

// Stale tells that nothing was sent, since the connection was not to be used again:
// any request may be sent on another.
func (c *Conn) Stale() bool { return c.stale }

// Write sends more of the body.
func (c *Conn) Write(p []byte) (int, error) {
	c.write.Within(c.conn.SetWriteDeadline, time.Now(), sendTimeout)
	n, err := c.conn.Write(p)
	return n, c.reason(err)
}

// Over tells, before all of a request was sent, that there is an answer already, or that
// none will come: nothing is gained by sending the rest. H7, U3
func (c *Conn) Over() bool {
	// With TLS something may have come that is no answer.
	return c.expired.Load() || c.tcp != nil && !c.socket.alive()
}

// Sent says that the whole request has been sent.
func (c *Conn) Sent() { c.sent = true }

// ReadHead reads the head of the next response to a request with the given method.
func (c *Conn) ReadHead(method string) error {
	c.awaitHead(time.Time{})
	err := c.reader.ReadResponse(&c.Head, method)
	if err != nil {
		c.answered = c.answered || len(c.reader.Buffered()) > 0
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	c.arrived()
	if c.Head.Length < 0 || c.Head.Length > int64(len(c.reader.Buffered())) {
		c.read.Never(c.conn.SetReadDeadline)
	}
	return nil
}

// awaitHead sets how long the endpoint may take for a head. The time is asked for
// when it is zero.
func (c *Conn) awaitHead(now time.Time) {
	within := c.limits.head
	if within <= 0 {
		c.read.Never(c.conn.SetReadDeadline) // that of another route
		return
	}
	if now.IsZero() {
		now = time.Now()
	}
	c.read.Within(c.conn.SetReadDeadline, now, within)
}

// arrived begins the body of a final response.
func (c *Conn) arrived() {
	c.answered = true
	if c.Head.Status >= 200 {
		c.Body.Reset(c.reader, &c.Head.Head)
	}
}

// ReadHeadWithin is ReadHead for a response that need not come now: it gives false
// when nothing has come in time.
func (c *Conn) ReadHeadWithin(method string, d time.Duration) (came bool, err error) {
	c.read.Exactly(c.conn.SetReadDeadline, time.Now(), d)
	err = c.reader.ReadResponse(&c.Head, method)
	c.read.Never(c.conn.SetReadDeadline)
	switch {
	case err == nil:
		c.arrived()
	case !errors.Is(err, os.ErrDeadlineExceeded):
	case len(c.reader.Buffered()) > 0:
		return true, c.ReadHead(method)
	default:
		return false, nil
	}
	return true, err
}

// MaySendAgain tells, after an error, whether a request may be sent on another
// connection: it is stale; or it has been used before and not a byte of a response
// came, so the endpoint may have closed it while it idled, and the request may reach
// the endpoint twice. A body cannot be sent twice, since nobody has kept it. U2, U3
func (c *Conn) MaySendAgain(method string, body bool) bool {
	return c.stale || c.reused && !c.answered && !body && repeatable(method)
}

// repeatable tells the methods that are idempotent (RFC 9110 §9.2.2).
func repeatable(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// Bind says that the endpoint takes what comes on this connection for the word of
// one user from now on, as NTLM has it: it serves no other client. H12
func (c *Conn) Bind() { c.bound = true }

// Buffered gives what has been received behind the head of the last response, for
// a connection that is taken over after an upgrade.
func (c *Conn) Buffered() []byte { return c.reader.Buffered() }

// Net gives the connection itself, to be taken over. Nobody cuts it any more, and
// Release closes it.
func (c *Conn) Net() net.Conn {
	c.interest.End()
	c.inTime()
	c.Head.Close = true
	c.read.Never(c.conn.SetReadDeadline)
	c.write.Never(c.conn.SetWriteDeadline)
	return c.conn
}

// Release gives the connection back.
func (c *Conn) Release() {
	wanted := c.interest.End() && c.inTime()
	c.interest = nil
	whole := c.sent && c.answered && !c.bound && !c.Head.Close && c.Head.Status >= 200 && c.Body.Ended() && len(c.reader.Buffered()) == 0
	if !wanted || !whole {
		c.pool.drop(c)
		return
	}
	if c.limits.idle > 0 {
		c.read.Never(c.conn.SetReadDeadline)
	}
	if cap(c.Out) > maxKeptBytes {
		c.Out = make([]byte, 0, outBytes)
	}
	c.reader.Shrink()
	c.pool.put(c)
}

// Drop closes the connection.
func (c *Conn) Drop() {
	c.interest.End()
	c.inTime()
	c.interest = nil
	c.pool.drop(c)
}
