// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"net"
	"syscall"
	"unsafe"
)

// liveness looks at a connection that idled without waiting: one that the endpoint
// has closed, or has sent something on that nobody asked for, is not used again.
type liveness struct {
	raw   syscall.RawConn
	look  func(fd uintptr)
	quiet bool
}

func (l *liveness) of(c net.Conn) {
	type below interface{ NetConn() net.Conn }
	if t, ok := c.(below); ok {
		c = t.NetConn()
	}
	s, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return
	}
	l.raw = raw
	l.look = func(fd uintptr) {
		var octet [1]byte
		_, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&octet)), 1, //nolint:gosec // a system call
			syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
		l.quiet = errno == syscall.EAGAIN
	}
}

// alive tells that nothing has come, not even the end.
func (l *liveness) alive() bool {
	if l.raw == nil {
		return true
	}
	l.quiet = false
	return l.raw.Control(l.look) == nil && l.quiet
}
