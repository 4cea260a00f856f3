// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package passthrough

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// maxWaiting bounds the datagrams that are kept while a target's name is looked
// up.
const maxWaiting = 16

// session is what one client exchanges with the target.
type session struct {
	owner *sessions
	peer  peer
	// control makes answers come from the address that the client sends to.
	control []byte
	rule    *Rule
	ctx     context.Context
	cancel  context.CancelFunc
	// last is when somebody has sent something, in Unix nanoseconds.
	last atomic.Int64

	// The fields below are guarded by the owner's mutex.

	conn     *net.UDPConn // nil until the target's name is known
	waiting  [][]byte
	answered bool
	place    *list.Element // among the young ones, or nil
}

func (x *session) touch() { x.last.Store(time.Now().UnixNano()) }

// send passes a datagram on, or keeps it until the target is known. The owner is
// locked, which keeps datagrams in order.
func (x *session) send(data []byte) {
	x.touch()
	switch {
	case x.conn != nil:
		write(x.conn, data)
	case len(x.waiting) < maxWaiting:
		x.waiting = append(x.waiting, bytes.Clone(data))
	}
}

// write sends a datagram, which may be lost as any other. That the target refused
// an earlier one is told in place of sending this one, so it is sent again.
func write(conn *net.UDPConn, data []byte) {
	if _, err := conn.Write(data); errors.Is(err, syscall.ECONNREFUSED) {
		_, _ = conn.Write(data)
	}
}

// run takes a session to its end.
func (x *session) run() {
	p := x.owner.port
	defer p.guard()
	defer x.owner.remove(x)
	conn, err := p.dialSession(x)
	if err != nil {
		p.meter.refused[refusedTarget].Add()
		if n := x.owner.full.Say(); n > 0 {
			p.server.log.Warn("a target cannot be reached", "port", p.key.String(), "err", err, "times", n)
		}
		return
	}
	end := func() { _ = conn.Close() }
	defer end()
	unhook := context.AfterFunc(x.ctx, end)
	defer unhook()
	x.connected(conn)
	began := time.Now()
	x.answers(conn)
	p.server.log.Debug("session forwarded", "port", p.key.String(), "client", x.peer.client.String(), "target", x.rule.Target, "duration", time.Since(began))
}

func (p *port) dialSession(x *session) (*net.UDPConn, error) {
	conn, err := p.dial(x.rule)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

// connected sends what has been waiting.
func (x *session) connected(conn *net.UDPConn) {
	x.owner.mu.Lock()
	defer x.owner.mu.Unlock()
	for _, data := range x.waiting {
		write(conn, data)
	}
	x.waiting, x.conn = nil, conn
	_ = conn.SetReadDeadline(x.deadline(x.owner.draining)) // the read tells
}

// hurry makes a session look at its time again. The owner is locked.
func (x *session) hurry() {
	if x.conn != nil {
		_ = x.conn.SetReadDeadline(x.deadline(true)) // the read tells
	}
}

// deadline is when the session ends, unless somebody sends something before.
func (x *session) deadline(draining bool) time.Time {
	idle := x.rule.Idle
	if draining {
		idle = min(idle, quietTime)
	}
	return time.Unix(0, x.last.Load()).Add(idle)
}

// answers passes on what the target sends, until the session is idle or over.
func (x *session) answers(conn *net.UDPConn) {
	for {
		err := receive(conn, func(data []byte) error {
			x.touch()
			return x.owner.answer(x, data)
		})
		switch {
		case err == nil, errors.Is(err, syscall.ECONNREFUSED): // nobody listens there now; perhaps later
		case errors.Is(err, os.ErrDeadlineExceeded):
			until := x.deadline(x.owner.isDraining())
			if !time.Now().Before(until) {
				return
			}
			_ = conn.SetReadDeadline(until) // the read tells
		default:
			return
		}
	}
}

// passing tells errors of single datagrams.
func passing(err error) bool {
	for _, e := range []error{
		syscall.ECONNREFUSED, syscall.EMSGSIZE, syscall.ENOBUFS, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EPERM, syscall.EAGAIN, syscall.EINTR,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
