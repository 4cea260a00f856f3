// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
)

const (
	// timeout bounds each step: to connect, to agree on keys, to answer a question.
	timeout = 5 * time.Second
	// mostIdle connections are kept for later, for idleFor at most.
	mostIdle = 4
	idleFor  = 5 * time.Minute
)

// connections are open connections of one kind. The last one given back is the
// next one taken.
type connections struct {
	open func(context.Context) (*ldap.Conn, error)

	mu sync.Mutex

	idle   []idleConnection
	closed bool
}

type idleConnection struct {
	*ldap.Conn

	since time.Time
}

// with runs a question on a connection. When one that has been idle turns out to
// be dead, as after a restart of the server, the question is asked once more on a
// new one: both searches and binds may be repeated.
func (p *connections) with(ctx context.Context, ask func(*ldap.Conn) error) error {
	if c := p.take(); c != nil {
		err := ask(c)
		p.give(c, err)
		if !broken(err) {
			return err
		}
	}
	c, err := p.open(ctx)
	if err != nil {
		return err
	}
	err = ask(c)
	p.give(c, err)
	return err
}

// broken tells an error of the connection, or of a server that is going away, from
// an answer.
func broken(err error) bool {
	e, ok := errors.AsType[*ldap.Error](err)
	switch {
	case err == nil:
		return false
	case !ok:
		return true
	case e.ResultCode == ldap.LDAPResultBusy || e.ResultCode == ldap.LDAPResultUnavailable:
		return true
	}
	// Codes from 200 on are made on this side of the connection.
	return e.ResultCode >= ldap.ErrorNetwork && e.ResultCode != ldap.ErrorEmptyPassword
}

// take gives an idle connection that looks alive, or nil.
func (p *connections) take() *ldap.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		last := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if !last.IsClosing() && time.Since(last.since) < idleFor {
			return last.Conn
		}
		_ = last.Close()
	}
	return nil
}

// give takes a connection back. The error is that of its last question.
func (p *connections) give(c *ldap.Conn, err error) {
	p.mu.Lock()
	keep := !p.closed && !broken(err) && !c.IsClosing() && len(p.idle) < mostIdle
	if keep {
		p.idle = append(p.idle, idleConnection{c, time.Now()})
	}
	p.mu.Unlock()
	if !keep {
		_ = c.Close()
	}
}

func (p *connections) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, c := range idle {
		_ = c.Close()
	}
}

// dial opens a connection, encrypted as the rule says: a StartTLS that fails is the
// end of it, and never plain text. M8
func (d *directory) dial(ctx context.Context, t *tls.Config) (*ldap.Conn, error) {
	dialer := net.Dialer{Timeout: timeout}
	raw, err := dialer.DialContext(ctx, "tcp", d.address)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	// The library has no deadline of its own for the exchange of keys.
	_ = raw.SetDeadline(time.Now().Add(timeout))
	if d.encrypted {
		conn := tls.Client(raw, t)
		if err := conn.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, fmt.Errorf("encrypting: %w", err)
		}
		raw = conn
	}
	c := ldap.NewConn(raw, d.encrypted)
	c.Start()
	c.SetTimeout(timeout)
	if d.startTLS {
		if err := c.StartTLS(t); err != nil {
			_ = c.Close()
			return nil, fmt.Errorf("encrypting: %w", err)
		}
	}
	_ = raw.SetDeadline(time.Time{})
	return c, nil
}
