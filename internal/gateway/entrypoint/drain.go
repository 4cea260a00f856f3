// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// Retire asks clients to take their next request elsewhere, while every request
// is still served, also on new connections: each answer ends its connection, by
// Connection: close or GOAWAY. E1
func (e *EntryPoint) Retire() { e.retired.Store(true) }

// Drain takes no new connections, closes idle ones, and waits until the requests
// that run have ended, those over upgraded connections too, or the context has.
// What runs is not cut; Close does that.
func (e *EntryPoint) Drain(ctx context.Context) error {
	e.Retire()
	for again := true; again; {
		var err error
		if again, err = e.shutDown(ctx); err != nil {
			return err
		}
	}
	return e.tunnels.wait(ctx)
}

// sayAgain is how often connections are told to end. The server tells only those
// that it knows of: one that was accepted just before has to be told later, or it
// would hold the drain for as long as its client likes.
const sayAgain = 250 * time.Millisecond

func (e *EntryPoint) shutDown(ctx context.Context) (again bool, err error) {
	attempt, cancel := context.WithTimeout(ctx, sayAgain)
	defer cancel()
	err = e.server.Shutdown(attempt)
	switch {
	case err == nil, errors.Is(err, net.ErrClosed):
		return false, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case attempt.Err() != nil:
		return true, nil
	}
	return false, err
}

// Close ends everything at once, and gives the port back.
func (e *EntryPoint) Close() error {
	err := errors.Join(e.server.Close(), e.listener.Close())
	e.tunnels.close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// tunnels are the connections that have been upgraded, which the server has lost
// sight of. The zero value has none.
type tunnels struct {
	mu sync.Mutex

	conns  map[net.Conn]struct{}
	closed bool
	empty  chan struct{} // closed with the last tunnel; nil when nobody waits
}

func (t *tunnels) add(c net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		_ = c.Close()
	}
	if t.conns == nil {
		t.conns = map[net.Conn]struct{}{}
	}
	t.conns[c] = struct{}{}
}

func (t *tunnels) remove(c net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if delete(t.conns, c); len(t.conns) == 0 && t.empty != nil {
		close(t.empty)
		t.empty = nil
	}
}

func (t *tunnels) wait(ctx context.Context) error {
	t.mu.Lock()
	if len(t.conns) == 0 {
		t.mu.Unlock()
		return nil
	}
	if t.empty == nil {
		t.empty = make(chan struct{})
	}
	empty := t.empty
	t.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close breaks all tunnels, and those that come; their handlers then end them.
func (t *tunnels) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for c := range t.conns {
		_ = c.Close()
	}
}
