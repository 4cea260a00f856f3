// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// connPoolKey is what makes two pools one: to whom, and how.
type connPoolKey struct {
	transport transportKey
	address   string
	secure    bool
}

// connPool is the connections to one endpoint over HTTP/1.1. The one that was used
// last is used next, so that those that are too many fall idle and end.
type connPool struct {
	address string
	dialer  *dialer
	tls     *tls.Config // nil without TLS

	// Of these 0 is no limit.
	most             int
	mostIdle         int64
	idleTimeout      time.Duration
	handshakeTimeout time.Duration
	waitTimeout      time.Duration
	// idleTotal is shared with the pools of the same transport.
	idleTotal     *atomic.Int64
	mostIdleTotal int64
	// name tells of new addresses; nil where the address is none of a name.
	name *follower

	registry *Registry
	meter    meter

	mu sync.Mutex

	idle    []*Conn // the one used last at the end
	allowed []netip.Addr
	epoch   uint32 // counts the changes of allowed; 0 is before the first
	open    int    // connections that exist or are being made
	waiting []*waiter
	sweeper *time.Timer
	closed  bool
}

// waiter is a request without a connection. It is given one, or nil for the right
// to make one.
type waiter struct{ ready chan *Conn }

// ConnectError says that there is no connection to an endpoint, so that it cannot
// have got anything of the request.
type ConnectError struct{ Err error }

func (e *ConnectError) Error() string { return "connecting: " + e.Err.Error() }

// Unwrap gives the reason.
func (e *ConnectError) Unwrap() error { return e.Err }

// waitersPerConn bounds the queue: beyond that many requests for each connection
// that may exist, waiting is hopeless. U8
const waitersPerConn = 16

// want is what a request wants of a connection.
type want struct {
	interest *exchange.Interest
	now      time.Time
	// fresh asks for a new connection.
	fresh    bool
	limits   *limits
	deadline time.Time // zero is none
}

// get gives a connection to a request.
func (p *connPool) get(w want) (*Conn, error) {
	now := w.now
	p.name.look(now)
	if !w.fresh {
		if c := p.pop(now); c != nil {
			return p.use(c, w)
		}
	}
	handed, err := p.admit(w)
	if err != nil {
		return nil, err
	}
	if handed != nil {
		return p.use(handed, w)
	}
	conn, err := p.dial(w)
	if err != nil {
		p.vacate()
		return nil, &ConnectError{err}
	}
	return p.use(newConn(p, conn), w)
}

func (p *connPool) use(c *Conn, w want) (*Conn, error) {
	c.interest, c.limits = w.interest, w.limits
	c.stale, c.looked, c.sent, c.answered = false, false, false, false
	c.until(w.deadline)
	if !w.interest.Begin(c) {
		c.inTime()
		p.drop(c)
		return nil, exchange.ErrClientGone
	}
	return c, nil
}

// pop takes the idle connection that was used last.
func (p *connPool) pop(now time.Time) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	if p.idleTimeout > 0 && now.Sub(c.idleSince) > p.idleTimeout {
		return nil // the sweeper ends it, and all that are older
	}
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	p.idleTotal.Add(-1)
	c.reused = true
	return c
}

// admit waits for the right to make a connection, or for one that becomes free.
func (p *connPool) admit(q want) (*Conn, error) {
	p.mu.Lock()
	if p.most <= 0 || p.open < p.most {
		p.open++
		p.mu.Unlock()
		return nil, nil //nolint:nilnil // the right to make one
	}
	if len(p.waiting) >= waitersPerConn*p.most {
		p.mu.Unlock()
		return nil, ErrBusy
	}
	w := &waiter{make(chan *Conn, 1)}
	p.waiting = append(p.waiting, w)
	p.mu.Unlock()
	patience, err := p.waitTimeout, ErrBusy
	if left := time.Until(q.deadline); !q.deadline.IsZero() && left < patience {
		patience, err = left, errTotal
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case c := <-w.ready:
		return c, nil
	case <-timer.C:
	case <-q.interest.Done():
		err = exchange.ErrClientGone
	}
	p.leave(w)
	return nil, err
}

// leave takes a waiter out of the queue. What it was given meanwhile goes on.
func (p *connPool) leave(w *waiter) {
	p.mu.Lock()
	at := slices.Index(p.waiting, w)
	if at >= 0 {
		p.waiting = slices.Delete(p.waiting, at, at+1)
	}
	p.mu.Unlock()
	if at >= 0 {
		return
	}
	if c := <-w.ready; c != nil {
		p.put(c)
	} else {
		p.vacate()
	}
}

// follow has connections to addresses that the name of the endpoint does not have any
// more end: those that idle now, and those in use with their requests. U6
func (p *connPool) follow(addresses []netip.Addr) {
	p.mu.Lock()
	p.allowed = addresses
	p.epoch++
	kept, ended := p.idle[:0:0], []*Conn(nil)
	for _, c := range p.idle {
		if p.current(c) {
			kept = append(kept, c)
		} else {
			ended = append(ended, c)
		}
	}
	p.idle = kept
	p.idleTotal.Add(-int64(len(ended)))
	p.mu.Unlock()
	for _, c := range ended {
		p.drop(c)
	}
}

// current tells whether a connection leads to an address of the endpoint; p.mu is
// held.
func (p *connPool) current(c *Conn) bool {
	if c.epoch == p.epoch {
		return true
	}
	if !slices.Contains(p.allowed, c.remote()) {
		return false
	}
	c.epoch = p.epoch
	return true
}

// put takes a connection back, for the one who waits longest if anybody does.
func (p *connPool) put(c *Conn) {
	p.mu.Lock()
	if !p.current(c) {
		p.mu.Unlock()
		p.drop(c)
		return
	}
	if len(p.waiting) > 0 {
		w := p.waiting[0]
		p.waiting = slices.Delete(p.waiting, 0, 1)
		p.mu.Unlock()
		c.reused = true
		w.ready <- c
		return
	}
	if p.closed || full(int64(len(p.idle)), p.mostIdle) || full(p.idleTotal.Load(), p.mostIdleTotal) {
		p.mu.Unlock()
		p.drop(c)
		return
	}
	c.idleSince = time.Now()
	p.idle = append(p.idle, c)
	p.idleTotal.Add(1)
	if p.sweeper == nil && p.idleTimeout > 0 {
		p.sweeper = time.AfterFunc(p.idleTimeout, p.sweep)
	}
	p.mu.Unlock()
}

func full(have, most int64) bool { return most > 0 && have >= most }

// drop ends a connection, which makes room for another.
func (p *connPool) drop(c *Conn) {
	_ = c.conn.Close()
	p.vacate()
}

// vacate gives the place of a connection to the one who waits longest.
func (p *connPool) vacate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) > 0 {
		w := p.waiting[0]
		p.waiting = slices.Delete(p.waiting, 0, 1)
		w.ready <- nil
		return
	}
	p.open--
}

// sweep ends the connections that have idled for too long.
func (p *connPool) sweep() {
	p.mu.Lock()
	now, old := time.Now(), 0
	for old < len(p.idle) && now.Sub(p.idle[old].idleSince) >= p.idleTimeout {
		old++
	}
	ended := slices.Clone(p.idle[:old])
	p.idle = slices.Delete(p.idle, 0, old)
	p.idleTotal.Add(-int64(old))
	p.sweeper = nil
	if len(p.idle) > 0 && !p.closed {
		p.sweeper = time.AfterFunc(p.idleTimeout-now.Sub(p.idle[0].idleSince), p.sweep)
	}
	p.mu.Unlock()
	for _, c := range ended {
		p.drop(c)
	}
}

// Close ends the connections that idle; those in use end with their requests.
func (p *connPool) Close() error {
	p.registry.meters.remove(p)
	p.name.end()
	p.mu.Lock()
	p.closed = true
	if p.sweeper != nil {
		p.sweeper.Stop()
		p.sweeper = nil
	}
	ended := p.idle
	p.idle = nil
	p.idleTotal.Add(-int64(len(ended)))
	p.mu.Unlock()
	for _, c := range ended {
		p.drop(c)
	}
	return nil
}

// dial makes a connection, in the goroutine of the request that needs it.
func (p *connPool) dial(w want) (net.Conn, error) {
	conn, err := p.make(w)
	p.meter.dialled(err)
	return conn, err
}

func (p *connPool) make(w want) (net.Conn, error) {
	ctx := context.Context(w.interest)
	if !w.deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, w.deadline)
		defer cancel()
	}
	conn, err := p.dialer.dial(ctx, p.address, w.limits.connect)
	if err != nil || p.tls == nil {
		return conn, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.handshakeTimeout)
	defer cancel()
	secure := tls.Client(conn, p.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

func (g *Registry) newConnPool(t *transport, e *Endpoint, settings *tlsSettings) *connPool {
	s := g.settings.Networking.Transport
	p := &connPool{
		address: withPort(e.scheme, e.host), dialer: g.dialer, registry: g, meter: meter{name: e.name},
		most: or(s.MaxConnsPerHost, defaultConnsPerHost), mostIdle: int64(or(s.MaxIdleConnsPerHost, defaultIdleConnsPerHost)),
		idleTimeout:      time.Duration(or(s.IdleConnTimeout, defaultIdleTimeout)) * time.Second,
		handshakeTimeout: seconds(s.TLSHandshakeTimeout, handshakeTimeout), waitTimeout: waitTimeout,
		idleTotal: &t.idle, mostIdleTotal: int64(or(s.MaxIdleConns, defaultIdleConns)),
	}
	p.name = g.dialer.follow(p.address, p.follow)
	if e.scheme == "https" {
		p.tls = settings.config.Clone()
		p.tls.NextProtos = []string{"http/1.1"}
		if p.tls.ServerName == "" {
			p.tls.ServerName = (&url.URL{Host: e.host}).Hostname()
		}
	}
	g.meters.add(p)
	return p
}

// withPort adds the port that the scheme implies.
func withPort(scheme, host string) string {
	u := url.URL{Host: host}
	port := u.Port()
	if port == "" {
		if port = "80"; scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}
