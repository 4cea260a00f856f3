// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package passthrough

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/limit"
)

// port is one that is listened on, or will be once it is free.
type port struct {
	key    Port
	server *Server
	rule   atomic.Pointer[Rule]
	meter  *meter

	// open ends when the port takes nothing new, ended is closed when nothing runs
	// on it any more.
	open   context.Context
	retire context.CancelFunc
	ended  chan struct{}

	mu sync.Mutex

	// listener is nil while the port is not listened on, and err says why.
	listener listener
	err      error
}

// listener is a port that has been taken.
type listener interface {
	// serve takes what comes until the context ends, which is no error, or the
	// listener breaks. It returns when all that it started has ended.
	serve(context.Context) error
	// refuse takes nothing new from now on. What runs goes on.
	refuse()
	// release frees the port before it returns. TCP connections go on, UDP sessions
	// have no way to.
	release()
	// address is where it listens.
	address() string
	// changed is told that the port has another rule.
	changed()
}

// The pauses between attempts to take a port.
const (
	firstPause = time.Second
	longPause  = 30 * time.Second
)

// open takes a port, or goes on trying. The server is locked.
func (s *Server) open(r *Rule) *port {
	p := &port{key: r.Port, server: s, meter: newMeter(s.o.Counters, r.Port), ended: make(chan struct{})}
	p.rule.Store(r)
	p.open, p.retire = context.WithCancel(s.ctx)
	l := p.listen()
	s.parts.Go(func() { p.run(l) })
	return p
}

// set changes the rule for what begins from now on.
func (p *port) set(r *Rule) {
	old := p.rule.Swap(r)
	if old.Target != r.Target || old.Idle != r.Idle {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.listener != nil {
			p.listener.changed()
		}
	}
}

// remove ends a port that there is no rule for any more.
func (p *port) remove() { p.end(listener.release) }

// drain ends a port when nothing runs on it any more.
func (p *port) drain() { p.end(listener.refuse) }

func (p *port) end(how func(listener)) {
	p.retire()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		how(p.listener)
	}
}

// listen tries once, and notes what became of it.
func (p *port) listen() listener {
	l, err := p.bind()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener, p.err = l, err
	return l
}

func (p *port) bind() (listener, error) {
	address := net.JoinHostPort(p.server.o.Host, strconv.Itoa(p.key.Number))
	var options net.ListenConfig
	if p.key.Protocol == "udp" {
		conn, err := options.ListenPacket(p.open, "udp", address)
		if err != nil {
			return nil, err
		}
		return newSessions(p, conn.(*net.UDPConn)), nil
	}
	inner, err := options.Listen(p.open, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &acceptor{port: p, inner: inner, conns: limit.NewConns(0, 0)}, nil
}

// run is the life of a port. One that breaks is taken again.
func (p *port) run(l listener) {
	defer p.server.forget(p)
	defer close(p.ended)
	defer p.meter.release()
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		if l != nil {
			pause = firstPause
			err := l.serve(p.open)
			if p.open.Err() != nil {
				return
			}
			p.broken(err)
		}
		select {
		case <-p.open.Done():
			return
		case <-time.After(pause):
		}
		if l = p.listen(); l != nil {
			p.server.o.Changed()
		}
	}
}

// broken notes that a listener ended by itself.
func (p *port) broken(err error) {
	p.mu.Lock()
	p.listener, p.err = nil, err
	p.mu.Unlock()
	p.server.o.Changed()
}

// complaint says why the port is not listened on, and what to do about it.
func (p *port) complaint() string {
	p.mu.Lock()
	err := p.err
	p.mu.Unlock()
	var way string
	switch {
	case err == nil:
		return ""
	case errors.Is(err, syscall.EADDRINUSE):
		way = "something else listens on it; stop that, or choose another port"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		way = "the gateway may not; choose a port above 1023, or grant NET_BIND_SERVICE"
	default:
		way = err.Error()
	}
	return fmt.Sprintf("%s cannot be listened on: %s. It is tried again until it can; all others are served", p.key, way)
}

func (p *port) address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener == nil {
		return ""
	}
	return p.listener.address()
}

// dialTimeout is how long a target may take to answer.
const dialTimeout = 10 * time.Second

// dial connects to the target of a rule. It ends with the server.
func (p *port) dial(r *Rule) (net.Conn, error) {
	target := r.Target
	if other, ok := p.server.o.Resolve[target]; ok {
		target = other
	}
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(p.server.ctx, p.key.Protocol, target)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", r.Target, err)
	}
	return conn, nil
}

// guard ends what a panic is in, and nothing else. E5
func (p *port) guard() {
	if v := recover(); v != nil {
		p.server.log.Error("a forwarded connection ended in a panic of the gateway",
			"port", p.key.String(), "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	}
}
