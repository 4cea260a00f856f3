// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command origin is the cheapest HTTP/1.1 server we can write: one thread, raw
// epoll, one read and one write for a request. It stands behind the proxies of a
// benchmark so that it never limits them, and is good for nothing else: it knows
// keep-alive, pipelining and bodies with Content-Length, and answers 200.
//
// Paths that end in /64k are answered with 65,536 bytes, those that end in /1m
// with 1 MiB, all others with 1,024 bytes.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"runtime"
	"syscall"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9000", "IPv4 address to listen on")
	flag.Parse()
	runtime.LockOSThread()
	log.SetFlags(0)
	s, err := open(*listen)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(s.run())
}

// server is the listener, its poller and the connections by descriptor.
type server struct {
	listener, poller int
	conns            map[int]*conn
	buffer           []byte
}

// open listens and registers the listener with a new poller.
func open(address string) (*server, error) {
	at, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return nil, err
	}
	s := &server{conns: map[int]*conn{}, buffer: make([]byte, 256<<10)}
	if s.listener, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("opening a socket: %w", err)
	}
	if err := syscall.SetsockoptInt(s.listener, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return nil, fmt.Errorf("setting SO_REUSEADDR: %w", err)
	}
	to := &syscall.SockaddrInet4{Port: at.Port}
	copy(to.Addr[:], at.IP.To4())
	if err := syscall.Bind(s.listener, to); err != nil {
		return nil, fmt.Errorf("binding %s: %w", address, err)
	}
	if err := syscall.Listen(s.listener, 4096); err != nil {
		return nil, fmt.Errorf("listening on %s: %w", address, err)
	}
	if s.poller, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("opening a poller: %w", err)
	}
	return s, s.watch(syscall.EPOLL_CTL_ADD, s.listener, syscall.EPOLLIN)
}

func (s *server) watch(op, fd int, events uint32) error {
	return syscall.EpollCtl(s.poller, op, fd, &syscall.EpollEvent{Events: events, Fd: int32(fd)})
}

// run serves until the poller breaks.
func (s *server) run() error {
	events := make([]syscall.EpollEvent, 512)
	for {
		n, err := syscall.EpollWait(s.poller, events, -1)
		if err == syscall.EINTR { //nolint:errorlint // the system call gives the bare number
			continue
		}
		if err != nil {
			return fmt.Errorf("waiting: %w", err)
		}
		for _, e := range events[:n] {
			s.handle(int(e.Fd), e.Events)
		}
	}
}

func (s *server) handle(fd int, events uint32) {
	if fd == s.listener {
		s.accept()
		return
	}
	c := s.conns[fd]
	if c == nil {
		return
	}
	if !s.transfer(c, fd, events) {
		delete(s.conns, fd)
		_ = syscall.Close(fd)
	}
}

// accept takes all connections that wait.
func (s *server) accept() {
	for {
		fd, _, err := syscall.Accept4(s.listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
		if s.watch(syscall.EPOLL_CTL_ADD, fd, syscall.EPOLLIN) != nil {
			_ = syscall.Close(fd)
			continue
		}
		s.conns[fd] = &conn{}
	}
}

// transfer reads and writes what can be; false means that the connection is over.
func (s *server) transfer(c *conn, fd int, events uint32) bool {
	if events&(syscall.EPOLLIN|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
		switch n, err := syscall.Read(fd, s.buffer); {
		case err == syscall.EAGAIN || err == syscall.EINTR: //nolint:errorlint // as above
		case n <= 0:
			return false
		default:
			c.feed(s.buffer[:n])
		}
	}
	for len(c.out) > 0 {
		n, err := syscall.Write(fd, c.out)
		if err == syscall.EAGAIN { //nolint:errorlint // as above
			return s.await(c, fd, true)
		}
		if err != nil {
			return false
		}
		c.out = c.out[n:]
	}
	return s.await(c, fd, false)
}

// await asks to be told when the socket takes more, or no longer.
func (s *server) await(c *conn, fd int, room bool) bool {
	if c.waiting == room {
		return true
	}
	c.waiting = room
	events := uint32(syscall.EPOLLIN)
	if room {
		events |= syscall.EPOLLOUT
	}
	return s.watch(syscall.EPOLL_CTL_MOD, fd, events) == nil
}
