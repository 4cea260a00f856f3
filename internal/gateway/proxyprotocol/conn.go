// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxyprotocol

import (
	"errors"
	"net"
)

// bufferSize is that of the reader for a header. What comes behind it in the same
// packet is kept until it is read.
const bufferSize = 512

// Conn is a connection whose header has been read. Its addresses are those that
// the header names, or its own if it names none.
type Conn struct {
	net.Conn
	header Header
	early  []byte
}

// Read implements net.Conn. The first bytes may have come with the header.
func (c *Conn) Read(b []byte) (int, error) {
	if len(c.early) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.early)
	if c.early = c.early[n:]; len(c.early) == 0 {
		c.early = nil // gives back the buffer
	}
	return n, nil
}

// RemoteAddr implements net.Conn: the client.
func (c *Conn) RemoteAddr() net.Addr {
	if c.header.Known() {
		return net.TCPAddrFromAddrPort(c.header.Source)
	}
	return c.Conn.RemoteAddr()
}

// LocalAddr implements net.Conn: what the client connected to.
func (c *Conn) LocalAddr() net.Addr {
	if c.header.Known() {
		return net.TCPAddrFromAddrPort(c.header.Destination)
	}
	return c.Conn.LocalAddr()
}

// NetConn gives the connection below. What came with the header is not read from it
// again.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// CloseWrite ends our half.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Header gives what the peer said.
func (c *Conn) Header() Header { return c.header }

// Peer is the address of the one that sent the header.
func (c *Conn) Peer() net.Addr { return c.Conn.RemoteAddr() }

// Detach gives the connection below and what was read of it behind the header,
// for those that want to splice. The Conn must not be read any more.
func (c *Conn) Detach() (early []byte, below net.Conn) {
	early, c.early = c.early, nil
	return early, c.Conn
}
