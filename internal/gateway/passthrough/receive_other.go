// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package passthrough

import "net"

// receive waits for a datagram and handles it.
func receive(conn *net.UDPConn, handle func([]byte) error) error {
	buffer := make([]byte, maxDatagram)
	n, err := conn.Read(buffer)
	if err != nil {
		return err
	}
	return handle(buffer[:n])
}
