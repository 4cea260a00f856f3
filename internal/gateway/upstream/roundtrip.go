// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

// ErrBusy says that an endpoint has as many connections as it may have, and none
// of them became free in time.
var ErrBusy = errors.New("no connection to the endpoint became free in time")

// waitTimeout is how long a request waits for a connection. It leaves room for one
// to be made: to dial, and to agree on TLS, have shorter limits of their own.
const waitTimeout = 20 * time.Second

// RoundTrip sends a request and gives the head of its response.
//
// Sent again, once, on another connection are only requests of which the backend
// cannot have seen a byte, and those without a body whose method is safe, when a
// connection that idled turns out to be closed. U2
func (e *Endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	t := e.transport
	ctx, cancel := context.WithCancelCause(context.WithValue(r.Context(), meterKey{}, &e.conns.meter))
	w := &wait{limit: t.wait, cancel: cancel}
	defer w.end()
	resp, err := t.RoundTrip(r.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { w.begin() },
		GotConn: func(httptrace.GotConnInfo) { w.end() },
	})))
	if err != nil && errors.Is(context.Cause(ctx), ErrBusy) {
		return nil, ErrBusy
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return nil, &ConnectError{err}
	}
	return resp, err
}

// wait bounds the time that a request spends without a connection. The context of
// the request is not cancelled when it has ended: the body of the response is read
// under it.
type wait struct {
	limit  time.Duration
	cancel context.CancelCauseFunc

	mu sync.Mutex

	timer *time.Timer
}

func (w *wait) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(w.limit, func() { w.cancel(ErrBusy) })
}

func (w *wait) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
}
