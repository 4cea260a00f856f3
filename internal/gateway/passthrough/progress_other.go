// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package passthrough

import (
	"io"
	"net"
	"sync/atomic"
)

// progress counts the bytes on their way.
type progress struct{ bytes atomic.Uint64 }

// count gives the connection as a reader that counts.
func (p *progress) count(c *net.TCPConn) io.Reader { return &counted{c, p} }

// of gives what has been read of both connections.
func (p *progress) of(...*net.TCPConn) uint64 { return p.bytes.Load() }

type counted struct {
	conn     *net.TCPConn
	progress *progress
}

// Read implements io.Reader.
func (c *counted) Read(b []byte) (int, error) {
	n, err := c.conn.Read(b)
	c.progress.bytes.Add(uint64(n))
	return n, err
}
