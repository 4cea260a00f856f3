// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Serve accepts connections until Drain or Close, and then returns nil. An error
// means that the listener broke.
func (e *EntryPoint) Serve() error {
	for pause := time.Duration(0); ; {
		c, err := e.listener.Accept()
		if err == nil {
			pause = 0
			e.admit(c)
			continue
		}
		if e.isStopped() {
			return nil
		}
		if !passing(err) {
			return fmt.Errorf("entry point %s: %w", e.name, err)
		}
		// Most often there are too many open files; some will be closed.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		e.log.Warn("connections cannot be accepted", "err", err, "again_in", pause)
		select {
		case <-time.After(pause):
		case <-e.stopped:
			return nil
		}
	}
}

func (e *EntryPoint) isStopped() bool {
	select {
	case <-e.stopped:
		return true
	default:
		return false
	}
}

// passing tells errors that concern one connection or one moment.
func passing(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Temporary() //nolint:staticcheck // for accept there is nothing else
}

// accept takes a connection to its end; it counts as that of a client until then.
func (e *EntryPoint) accept(c net.Conn, client netip.Addr) {
	defer e.admission.conns.Leave(client)
	e.accepted.Add(1)
	e.open.Add(1)
	defer e.open.Add(-1)
	defer func() {
		if p := recover(); p != nil { // E5
			e.panicked(nil, p)
			_ = c.Close()
		}
	}()
	if e.tls == nil {
		e.http1.ServeConn(c)
		return
	}
	secure, err := e.handshake(c)
	if err != nil {
		e.unagreed.Add(1)
		e.log.Debug("no TLS with a client", "peer", c.RemoteAddr().String(), "err", err)
		_ = c.Close()
		return
	}
	switch secure.ConnectionState().NegotiatedProtocol {
	case "h2":
		if weak(secure.ConnectionState()) {
			_ = secure.Close()
			return
		}
		e.handOver(secure)
	case "", "http/1.1":
		e.http1.ServeConn(secure)
	default: // the handshake was all there is to it. A6
		_ = secure.Close()
	}
}

// weak tells what HTTP/2 must not be spoken over (RFC 9113 §9.2.2).
func weak(s tls.ConnectionState) bool {
	if s.Version >= tls.VersionTLS13 {
		return false
	}
	switch s.CipherSuite {
	case tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
		return false
	}
	return true
}

// handshake agrees on TLS, within the time for the first head.
func (e *EntryPoint) handshake(c net.Conn) (*tls.Conn, error) {
	if !e.young.add(c) {
		return nil, net.ErrClosed
	}
	defer e.young.remove(c)
	secure := tls.Server(c, e.tls)
	if err := c.SetDeadline(time.Now().Add(headerTimeout)); err != nil {
		return nil, err
	}
	if err := secure.HandshakeContext(context.Background()); err != nil {
		return nil, err
	}
	return secure, c.SetDeadline(time.Time{})
}

// young are the connections that have not agreed on a protocol yet. The zero value
// has none.
type young struct {
	mu sync.Mutex

	conns  map[net.Conn]struct{}
	closed bool
	empty  chan struct{} // closed with the last one; nil when nobody waits
}

func (y *young) add(c net.Conn) bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.closed {
		return false
	}
	if y.conns == nil {
		y.conns = map[net.Conn]struct{}{}
	}
	y.conns[c] = struct{}{}
	return true
}

func (y *young) remove(c net.Conn) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if delete(y.conns, c); len(y.conns) == 0 && y.empty != nil {
		close(y.empty)
		y.empty = nil
	}
}

// youngTime is what a handshake still gets when a drain begins.
const youngTime = time.Second

// wait hurries the handshakes, and waits for the last.
func (y *young) wait(ctx context.Context) error {
	y.mu.Lock()
	if len(y.conns) == 0 {
		y.mu.Unlock()
		return nil
	}
	for c := range y.conns {
		_ = c.SetDeadline(time.Now().Add(youngTime)) // the handshake tells what is wrong
	}
	if y.empty == nil {
		y.empty = make(chan struct{})
	}
	empty := y.empty
	y.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close breaks all of them off.
func (y *young) close() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.closed = true
	for c := range y.conns {
		_ = c.Close()
	}
}
