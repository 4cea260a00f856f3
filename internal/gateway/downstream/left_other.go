// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package downstream

import "net"

// left is for systems where a connection cannot be looked at without reading.
func (c *Conn) left() bool { return false }

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
