// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/limit"
)

// Refused counts connections that were not served, by why.
type Refused struct {
	// Limit: there were as many as there may be. Client: as many of that client.
	// Header: a trusted peer sent no header of the PROXY protocol, or a broken one.
	// Flood: it was ended later, since the client sent too much of what is no work.
	Limit, Client, Header, Flood uint64
}

// admission is who may have a connection. H9
type admission struct {
	conns                        *limit.Conns
	full                         limit.Throttle
	limit, client, header, flood atomic.Uint64
	// turning is a place for each connection that is told of its refusal.
	turning chan struct{}
}

func newAdmission(most, each int) *admission {
	most, each = limit.DefaultConns(most, each)
	return &admission{conns: limit.NewConns(most, each), turning: make(chan struct{}, maxTurning)}
}

// Bounds on telling clients that they are refused. When there are too many of those
// too, the rest is only reset.
const (
	maxTurning  = 64
	turningTime = time.Second
	// maxRefusedBytes of a request that is refused are read, so that its client reads
	// the answer.
	maxRefusedBytes = 64 << 10
)

// tooMany is the answer to a connection that cannot be served.
const tooMany = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 1\r\n" +
	"Content-Length: 29\r\nConnection: close\r\n\r\n503 too many connections open"

// counted gives the address under which a connection is counted; none for that of a
// trusted proxy, which has connections for all its clients.
func (e *EntryPoint) counted(c net.Conn) netip.Addr {
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil || e.settings.Load().trust.has(plain(at.Addr())) {
		return netip.Addr{}
	}
	return limit.Client(at.Addr())
}

// admit serves a connection unless there are too many. It does not block.
func (e *EntryPoint) admit(c net.Conn) {
	client := e.counted(c)
	switch e.admission.conns.Enter(client) {
	case limit.Admitted:
		go e.accept(c, client)
		return
	case limit.TooManyOfClient:
		e.admission.client.Add(1)
	default:
		e.admission.limit.Add(1)
	}
	if n := e.admission.full.Say(); n > 0 {
		e.log.Warn("connections are refused, since there are too many", "peer", c.RemoteAddr().String(), "refused", n)
	}
	e.refuse(c)
}

// refuse ends a connection: over plain HTTP with an answer, while not too many wait for
// one. TLS would first cost a handshake.
func (e *EntryPoint) refuse(c net.Conn) {
	if e.secure {
		reset(c)
		return
	}
	select {
	case e.admission.turning <- struct{}{}:
		go e.turnAway(c)
	default:
		reset(c)
	}
}

// turnAway answers the first request. An answer before that would be none to many
// clients, and what is left unread would take it away again.
func (e *EntryPoint) turnAway(c net.Conn) {
	defer func() { <-e.admission.turning }()
	defer c.Close() //nolint:errcheck // it was refused
	if !e.young.add(c) {
		return
	}
	defer e.young.remove(c)
	if c.SetDeadline(time.Now().Add(turningTime)) != nil {
		return
	}
	var first [512]byte
	if n, err := c.Read(first[:]); n == 0 || err != nil {
		return
	}
	if _, err := io.WriteString(c, tooMany); err != nil {
		return
	}
	if half, ok := c.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, c, maxRefusedBytes) // until the client has read the answer
	}
}

// reset ends a connection at once, and has the kernel keep nothing of it.
func reset(c net.Conn) {
	if t, ok := bottom(c).(*net.TCPConn); ok {
		_ = t.SetLinger(0) // without it the end is only less clear
	}
	_ = c.Close()
}

// bottom gives the connection below all layers.
func bottom(c net.Conn) net.Conn {
	for {
		layer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = layer.NetConn()
	}
}

// Refused gives how many connections were not served.
func (e *EntryPoint) Refused() Refused {
	a := e.admission
	return Refused{Limit: a.limit.Load(), Client: a.client.Load(), Header: a.header.Load(), Flood: a.flood.Load()}
}
