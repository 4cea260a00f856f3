// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package downstream

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/http1"
)

// Options say how connections are served. Serve is required.
type Options struct {
	// Serve takes a request to the end of its answer. A Stream whose Fault is set
	// could not be read, and is only to be answered.
	Serve func(*Stream)
	// HTTP2, if set, takes over a connection that begins with the preface of
	// HTTP/2. What was read of it is read again.
	HTTP2 func(net.Conn)
	// Panicked, if set, is told of a panic in Serve. It has broken that request
	// and nothing else. E5
	Panicked func(*Stream, any)
	// HeadTimeout is how long a client may take for a head; 10 s.
	HeadTimeout time.Duration
	Limits      http1.Limits
}

// Timeouts are those that can change while connections are open.
type Timeouts struct {
	// Read and Write are how long a body may make no progress, Idle how long a
	// connection may carry no request.
	Read, Write, Idle time.Duration
}

const headTimeout = 10 * time.Second

// Server serves connections. Its methods are safe for concurrent use.
type Server struct {
	o        Options
	timeouts atomic.Pointer[Timeouts]
	retired  atomic.Bool

	mu sync.Mutex

	conns    map[*Conn]struct{}
	draining bool
	closed   bool
	empty    chan struct{} // closed when the last connection has ended; nil when nobody waits
	patrol   *patrol       // nil without connections
}

// NewServer serves nothing yet.
func NewServer(o Options, t Timeouts) *Server {
	if o.HeadTimeout <= 0 {
		o.HeadTimeout = headTimeout
	}
	o.Limits = o.Limits.WithDefaults()
	s := &Server{o: o, conns: map[*Conn]struct{}{}}
	s.Set(t)
	return s
}

// Set changes the time limits for the steps to come.
func (s *Server) Set(t Timeouts) { s.timeouts.Store(&t) }

// Retire has each answer end its connection.
func (s *Server) Retire() { s.retired.Store(true) }

// ServeConn serves a connection to its end. TLS, if it is spoken on it, has been
// agreed on.
func (s *Server) ServeConn(c net.Conn) {
	conn := newConn(s, c)
	if !s.add(conn) {
		_ = c.Close()
		return
	}
	defer s.remove(conn)
	conn.serve()
}

func (s *Server) add(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = struct{}{}
	if s.patrol == nil {
		s.patrol = startPatrol(s)
	}
	if s.draining {
		c.hurry()
	}
	return true
}

func (s *Server) remove(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if len(s.conns) > 0 {
		return
	}
	s.patrol.end()
	s.patrol = nil
	if s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
}

// Drain ends connections that idle, has the others end with their answers, and
// waits for the last one, or for the end of the context.
func (s *Server) Drain(ctx context.Context) error {
	s.Retire()
	s.mu.Lock()
	s.draining = true
	for c := range s.conns {
		c.hurry()
	}
	if len(s.conns) == 0 {
		s.mu.Unlock()
		return nil
	}
	if s.empty == nil {
		s.empty = make(chan struct{})
	}
	empty := s.empty
	s.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close breaks all connections, those that were taken over too.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.conns {
		c.breakOff()
	}
}

// Conns gives how many connections there are.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}
