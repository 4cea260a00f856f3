// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Options say how connections are served. Handler is required; everything else has a
// default.
type Options struct {
	// Handler takes a request to the end of its answer. Its writer can do what
	// http.ResponseController asks for, but for hijacking.
	Handler http.Handler
	// TooLarge answers a request whose head is larger than MaxHeaderBytes, of which
	// only the beginning is there.
	TooLarge http.Handler
	// Panicked, if set, is told of a panic in Handler. It has broken that request
	// and nothing else. E5
	Panicked func(any)
	// HeadTimeout is how long a client may take for a head, and for the first
	// settings; 10 s.
	HeadTimeout time.Duration
	// WriteTimeout is how long a client may take nothing; 60 s.
	WriteTimeout time.Duration
	// PingAfter is after how much silence a client with open streams is asked
	// whether it is there, and PingTimeout how long it has to say so; 30 s, 15 s.
	PingAfter, PingTimeout time.Duration
	// MaxHeaderBytes bounds a head, as RFC 9113 §6.5.2 counts it; 64 KiB.
	MaxHeaderBytes int
	// MaxStreams bounds the requests of a connection at a time; 250.
	MaxStreams int
	// StreamWindow and ConnWindow bound the bodies that nobody has read; 256 KiB, 4 MiB.
	StreamWindow, ConnWindow int
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.HeadTimeout, 10 * time.Second}, {&o.WriteTimeout, time.Minute},
		{&o.PingAfter, 30 * time.Second}, {&o.PingTimeout, 15 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&o.MaxHeaderBytes, 64 << 10}, {&o.MaxStreams, 250}, {&o.StreamWindow, 256 << 10}, {&o.ConnWindow, 4 << 20}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if o.TooLarge == nil {
		o.TooLarge = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
		})
	}
	return o
}

// Server serves connections. Its methods are safe for concurrent use.
type Server struct {
	o       Options
	idle    atomic.Int64
	retired atomic.Bool

	mu sync.Mutex

	conns    map[*conn]struct{}
	draining bool
	closed   bool
	empty    chan struct{} // closed when the last connection has ended; nil when nobody waits
}

// idleTimeout is how long a connection may carry no request.
const idleTimeout = 180 * time.Second

// NewServer serves nothing yet.
func NewServer(o Options) *Server {
	s := &Server{o: o.withDefaults(), conns: map[*conn]struct{}{}}
	s.SetIdleTimeout(idleTimeout)
	return s
}

// SetIdleTimeout sets how long a connection may carry no request; 180 s.
func (s *Server) SetIdleTimeout(d time.Duration) { s.idle.Store(int64(d)) }

// Retire has each answer end its connection.
func (s *Server) Retire() { s.retired.Store(true) }

// ServeConn serves a connection, whose preface has not been read, to its end. The
// contexts of its requests have the values of ctx.
func (s *Server) ServeConn(ctx context.Context, nc net.Conn) {
	c := newConn(ctx, s, nc)
	if !s.add(c) {
		_ = nc.Close()
		return
	}
	defer s.remove(c)
	c.run()
}

func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = struct{}{}
	if s.draining {
		c.retire()
	}
	return true
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if len(s.conns) == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
}

// Drain asks all clients to take their next requests elsewhere, has each connection end
// with its last answer, and waits for the last one, or for the end of the context.
func (s *Server) Drain(ctx context.Context) error {
	s.Retire()
	s.mu.Lock()
	s.draining = true
	for c := range s.conns {
		c.retire()
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

// Close breaks all connections.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.conns {
		c.breakOff()
	}
}
