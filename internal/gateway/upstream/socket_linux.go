// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket is the system's side of a connection, for what package net has no words for.
// The zero value has none.
type socket struct {
	raw   syscall.RawConn
	look  func(fd uintptr)
	quiet bool

	// Of the request that is being sent. step is made once.
	step  func(fd uintptr) bool
	out   []byte
	used  bool
	begun bool
	n     int
	err   error
}

func (s *socket) of(c net.Conn) {
	type below interface{ NetConn() net.Conn }
	if t, ok := c.(below); ok {
		c = t.NetConn()
	}
	known, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := known.SyscallConn()
	if err != nil {
		return
	}
	s.raw = raw
	s.look = func(fd uintptr) { s.quiet = quiet(fd) }
	s.step = s.sendOnce
}

// giveUpAfter ends a connection whose other side has acknowledged nothing for so long.
func giveUpAfter(c net.Conn, d time.Duration) {
	if counted, ok := c.(*countedConn); ok {
		c = counted.Conn
	}
	known, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := known.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { // a connection that has ended already tells so
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds())) //nolint:gosec // a descriptor
	})
}

// quiet tells that nothing has come, not even the end.
func quiet(fd uintptr) bool {
	var octet [1]byte
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&octet)), 1, //nolint:gosec // a system call
		syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
	return errno == syscall.EAGAIN
}

// alive looks at a connection that idled, without waiting: one that the endpoint has
// closed, or has sent something on that nobody asked for, is not used again. U2, H6
func (s *socket) alive() bool {
	if s.raw == nil {
		return true
	}
	s.quiet = false
	return s.raw.Control(s.look) == nil && s.quiet
}

// exchange looks at a connection that has been used before, sends a request, and
// waits for something to come, if all of it could be sent. It gives how much was.
// Looking, sending and waiting are one visit to the poller: nothing that happens in
// between is missed, and the read that follows finds something. Otherwise each
// request would pay for a read that finds nothing yet.
//
// That the wait ends by an error is left to the next read to say.
func (s *socket) exchange(out []byte, used bool) (int, error) {
	s.out, s.used, s.begun, s.n, s.err = out, used, false, 0, nil
	err := s.raw.Read(s.step)
	if s.out = nil; s.err != nil {
		return s.n, s.err
	}
	if !s.begun {
		return 0, err
	}
	return s.n, nil
}

// sendOnce is called by the poller until it is true, whenever something has come.
func (s *socket) sendOnce(fd uintptr) (done bool) {
	if s.begun {
		return true
	}
	s.begun = true
	if s.used && !quiet(fd) {
		s.err = errStale
		return true
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(s.out))), uintptr(len(s.out)), //nolint:gosec // a system call
		syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT, 0, 0)
	switch {
	case errno == 0:
		s.n = int(n) //nolint:gosec // no more than the length of out
	case errno != syscall.EAGAIN && errno != syscall.EINTR:
		s.err = &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("sendto", errno)}
	}
	return s.n < len(s.out)
}
