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
func (e *EntryPoint) Retire() {
	e.retired.Store(true)
	e.http1.Retire()
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
	return errors.Join(first, second)
}

// sayAgain is how often connections of HTTP/2 are told to end. The server tells only
// those that it knows of: one that was accepted just before has to be told later, or
// it would hold the drain for as long as its client likes.
const sayAgain = 250 * time.Millisecond

func (e *EntryPoint) drainHTTP2(ctx context.Context) error {
	for {
		// Connections that are young may still turn out to be of HTTP/2.
		if err := e.young.wait(ctx); err != nil {
			return err
		}
		again, err := e.shutDown(ctx)
		if !again {
			return err
		}
	}
}

func (e *EntryPoint) shutDown(ctx context.Context) (again bool, err error) {
	attempt, cancel := context.WithTimeout(ctx, sayAgain)
	defer cancel()
	err = e.http2.Shutdown(attempt)
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
	err = errors.Join(err, e.http2.Close())
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
