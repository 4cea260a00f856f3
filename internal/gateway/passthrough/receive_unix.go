// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package passthrough

import (
	"net"
	"sync"
	"syscall"
)

// buffers are for datagrams. A session has one only while it handles one, so that
// those that wait cost no 64 KiB each.
var buffers = sync.Pool{New: func() any { return new([maxDatagram]byte) }}

// receive waits for a datagram and handles it.
func receive(conn *net.UDPConn, handle func([]byte) error) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = raw.Read(func(fd uintptr) (done bool) {
		buffer := buffers.Get().(*[maxDatagram]byte)
		defer buffers.Put(buffer)
		n, err := syscall.Read(int(fd), buffer[:])
		switch err { //nolint:errorlint // the system call gives the bare number
		case nil:
			result = handle(buffer[:n])
		case syscall.EAGAIN:
			return false
		case syscall.EINTR:
		default:
			result = err
		}
		return true
	})
	if err != nil {
		return err
	}
	return result
}
