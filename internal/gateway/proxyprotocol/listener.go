// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxyprotocol

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Options are those of a Listener; the zero value trusts nobody.
type Options struct {
	// Trusted are the peers that must send a header.
	Trusted Peers
	// Timeout is how long a header may take in all; 0 is 5 seconds.
	Timeout time.Duration
	// Refused, if set, hears of trusted peers whose header is missing or broken. It
	// is called from many goroutines.
	Refused func(peer netip.Addr, err error)
}

const (
	defaultTimeout = 5 * time.Second
	// maxWaiting bounds the connections whose header has not come. When they are so
	// many, no others are taken, and wait in the kernel's queue.
	maxWaiting = 1024
)

// Listener takes connections from another one. Accept gives those of trusted
// peers once their header is there, with the addresses that it names; one that
// stalls does not hold back the others.
type Listener struct {
	inner   net.Listener
	trusted atomic.Pointer[Peers]
	timeout time.Duration
	refused func(netip.Addr, error)

	accepted chan accepted
	waiting  chan struct{}
	ctx      context.Context
	stop     context.CancelFunc
	parts    sync.WaitGroup
}

var _ net.Listener = (*Listener)(nil)

type accepted struct {
	conn net.Conn
	err  error
}

// NewListener wraps a listener and begins to accept. Close ends both.
func NewListener(inner net.Listener, o Options) *Listener {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Refused == nil {
		o.Refused = func(netip.Addr, error) {}
	}
	l := &Listener{
		inner: inner, timeout: o.Timeout, refused: o.Refused,
		accepted: make(chan accepted), waiting: make(chan struct{}, maxWaiting),
	}
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.Trust(o.Trusted)
	l.parts.Go(l.run)
	return l
}

// Trust changes, for connections to come, who is trusted.
func (l *Listener) Trust(p Peers) { l.trusted.Store(&p) }

// Accept implements net.Listener. Errors are those of the listener below.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case a := <-l.accepted:
		return a.conn, a.err
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.inner.Addr() }

// Close implements net.Listener. Connections that Accept has not given are closed.
func (l *Listener) Close() error {
	l.stop()
	err := l.inner.Close()
	l.parts.Wait()
	return err
}

// run accepts until the listener is closed. An error goes to the caller of Accept,
// who knows whether and when to go on: the next one is not asked for before.
func (l *Listener) run() {
	for {
		conn, err := l.inner.Accept()
		if err != nil {
			if !l.deliver(accepted{err: err}) {
				return
			}
			continue
		}
		if !l.trusted.Load().Trusts(addrPort(conn.RemoteAddr()).Addr()) {
			if !l.deliver(accepted{conn: conn}) {
				conn.Close()
				return
			}
			continue
		}
		select {
		case l.waiting <- struct{}{}:
			l.parts.Go(func() { l.welcome(conn) })
		case <-l.ctx.Done():
			conn.Close()
			return
		}
	}
}

// deliver hands something to Accept; false means that the listener is closed.
func (l *Listener) deliver(a accepted) bool {
	select {
	case l.accepted <- a:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// welcome reads the header of a trusted peer.
func (l *Listener) welcome(conn net.Conn) {
	unhook := context.AfterFunc(l.ctx, func() { conn.Close() })
	c, err := Welcome(conn, l.timeout)
	<-l.waiting
	if !unhook() {
		return // closed with the listener
	}
	if err != nil {
		l.refused(addrPort(conn.RemoteAddr()).Addr(), err)
		conn.Close()
		return
	}
	if !l.deliver(accepted{conn: c}) {
		conn.Close()
	}
}

// Welcome reads the header of a connection from a trusted peer, within the
// timeout. After an error the connection is of no use.
func Welcome(conn net.Conn, timeout time.Duration) (*Conn, error) {
	if err := conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return nil, fmt.Errorf("setting the deadline of the PROXY protocol header: %w", err)
	}
	in := bufio.NewReaderSize(conn, bufferSize)
	h, err := Read(in)
	if err != nil {
		return nil, err
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("taking back the deadline of the PROXY protocol header: %w", err)
	}
	c := &Conn{Conn: conn, header: h}
	if n := in.Buffered(); n > 0 {
		c.early, _ = in.Peek(n) // they are there
	}
	return c, nil
}
