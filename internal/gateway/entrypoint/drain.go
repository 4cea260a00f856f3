// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"context"
	"errors"
	"net"
	"sync"
)

// Retire asks clients to take their next request elsewhere, while every request
// is still served, also on new connections: each answer ends its connection, by
// Connection: close or GOAWAY. E1
func (e *EntryPoint) Retire() {
	e.retired.Store(true)
	e.http1.Retire()
	e.http2.Retire()
}

// Drain takes no new connections, closes idle ones, and waits until the requests
// that run have ended, those over upgraded connections too, or the context has.
// What runs is not cut; Close does that.
func (e *EntryPoint) Drain(ctx context.Context) error {
	e.Retire()
	_ = e.stopAccepting() // a listener that is closed already is as good
	var group sync.WaitGroup
	var first, second error
	group.Go(func() { first = e.http1.Drain(ctx) })
	group.Go(func() { second = e.drainHTTP2(ctx) })
	group.Wait()
	if err := errors.Join(first, second); err != nil {
		return err
	}
	// HTTP/1.1 may have handed some over meanwhile.
	return e.http2.Drain(ctx)
}

// drainHTTP2 ends the connections of HTTP/2, also those that are still to turn out to be.
func (e *EntryPoint) drainHTTP2(ctx context.Context) error {
	if err := e.young.wait(ctx); err != nil {
		return err
	}
	return e.http2.Drain(ctx)
}

// stopAccepting gives the port back.
func (e *EntryPoint) stopAccepting() error {
	e.stopOnce.Do(func() { close(e.stopped) })
	return e.listener.Close()
}

// Close ends everything at once, and gives the port back.
func (e *EntryPoint) Close() error {
	err := e.stopAccepting()
	e.http1.Close()
	e.young.close()
	e.http2.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
