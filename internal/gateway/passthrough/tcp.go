// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package passthrough

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/limit"
	"gateway.jkaninda.dev/goma/internal/gateway/proxyprotocol"
)

// acceptor is a TCP port that has been taken.
type acceptor struct {
	port   *port
	inner  net.Listener
	conns  *limit.Conns
	full   limit.Throttle
	failed limit.Throttle
}

func (a *acceptor) address() string { return a.inner.Addr().String() }

// changed does nothing: a connection keeps its rule to its end.
func (a *acceptor) changed() {}

func (a *acceptor) refuse() { a.inner.Close() }

func (a *acceptor) release() { a.inner.Close() }

// The pauses when connections cannot be accepted, most often because there are too
// many open files.
const (
	shortestWait = 5 * time.Millisecond
	longestWait  = time.Second
)

// serve implements listener.
func (a *acceptor) serve(ctx context.Context) error {
	unhook := context.AfterFunc(ctx, func() { a.inner.Close() })
	defer unhook()
	defer a.inner.Close()
	var conns sync.WaitGroup
	defer conns.Wait()
	for wait := time.Duration(0); ; {
		c, err := a.inner.Accept()
		if err == nil {
			wait = 0
			a.take(&conns, c)
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		var network net.Error
		if !errors.As(err, &network) || !network.Temporary() { //nolint:staticcheck // for accept there is nothing else
			return fmt.Errorf("accepting: %w", err)
		}
		wait = min(max(2*wait, shortestWait), longestWait)
		a.port.server.log.Warn("connections cannot be accepted", "port", a.port.key.String(), "err", err, "again_in", wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// take starts forwarding a connection, unless there are too many.
func (a *acceptor) take(conns *sync.WaitGroup, c net.Conn) {
	p := a.port
	rule := p.rule.Load()
	most := cmp.Or(rule.MaxConns, p.server.o.MaxConns)
	a.conns.Bound(most, cmp.Or(rule.MaxClientConns, most))
	if a.conns.Enter(netip.Addr{}) != limit.Admitted {
		a.refused(c, refusedFull)
		return
	}
	p.meter.begin()
	conns.Go(func() {
		who := netip.Addr{}
		defer p.meter.end()
		defer func() { a.conns.Leave(who) }()
		defer c.Close()
		defer p.guard()
		a.forward(c, rule, &who)
	})
}

// refused ends a connection that is one too many. H9
func (a *acceptor) refused(c net.Conn, why int) {
	p := a.port
	p.meter.refused[why].Add()
	if n := a.full.Say(); n > 0 {
		p.server.log.Warn("connections are refused, since there are too many", "port", p.key.String(), "peer", c.RemoteAddr().String(), "refused", n)
	}
	reset(c)
}

// reset tells a client at once that it is not served.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // without it the end is only less clear
	}
	c.Close()
}

// forward takes a connection to its end. It counts as that of the client, once that is
// known.
func (a *acceptor) forward(c net.Conn, rule *Rule, counted *netip.Addr) {
	p, began := a.port, time.Now()
	unhook := context.AfterFunc(p.server.ctx, func() { c.Close() })
	defer unhook()
	client, err := identify(c, rule)
	if err != nil {
		p.meter.refused[refusedHeader].Add()
		a.complain("a load balancer's connection is refused", err, "peer", c.RemoteAddr().String())
		reset(c)
		return
	}
	if who := limit.Client(client.source.Addr()); a.conns.Name(who) {
		*counted = who
	} else {
		a.refused(c, refusedClient)
		return
	}
	up, err := p.dial(rule)
	if err != nil {
		p.meter.refused[refusedTarget].Add()
		a.complain("a target cannot be reached", err)
		reset(c)
		return
	}
	defer up.Close()
	unhookUp := context.AfterFunc(p.server.ctx, func() { up.Close() })
	defer unhookUp()
	t := &tunnel{client: client.conn.(*net.TCPConn), target: up.(*net.TCPConn), idle: rule.Idle, meter: p.meter}
	if rule.Send != 0 {
		t.preface = proxyprotocol.Append(nil, rule.Send, client.source, client.destination)
	}
	t.preface = append(t.preface, client.early...)
	reason := t.run()
	p.server.log.Debug("connection forwarded", "port", p.key.String(), "client", client.source.String(), "target", rule.Target,
		"received", t.received, "sent", t.sent, "duration", time.Since(began), "reason", reason)
}

// complain logs at most one line in a while.
func (a *acceptor) complain(message string, err error, more ...any) {
	if n := a.failed.Say(); n > 0 {
		a.port.server.log.Warn(message, append([]any{"port", a.port.key.String(), "err", err, "times", n}, more...)...)
	}
}

// client is a connection and whose it is.
type client struct {
	conn                net.Conn
	source, destination netip.AddrPort
	// early is what came with the header.
	early []byte
}

// headerTimeout is how long a load balancer may take to say whose connection it is.
const headerTimeout = 5 * time.Second

// identify reads the header of a peer that must send one.
func identify(c net.Conn, r *Rule) (client, error) {
	who := client{conn: c, source: addrPort(c.RemoteAddr()), destination: addrPort(c.LocalAddr())}
	if !r.Accept.Trusts(who.source.Addr()) {
		return who, nil
	}
	named, err := proxyprotocol.Welcome(c, headerTimeout)
	if err != nil {
		return client{}, err
	}
	who.source, who.destination = addrPort(named.RemoteAddr()), addrPort(named.LocalAddr())
	who.early, who.conn = named.Detach()
	return who, nil
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		at := t.AddrPort()
		return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	}
	return netip.AddrPort{}
}
