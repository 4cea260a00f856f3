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

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
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
	e.follows.look(time.Now())
	if waiting := e.waiting.Add(1); t.queue > 0 && waiting > t.queue {
		e.waiting.Add(-1)
		return nil, ErrBusy
	}
	leave := sync.OnceFunc(func() { e.waiting.Add(-1) })
	defer leave()
	ctx, cancel := context.WithCancelCause(context.WithValue(withConnect(r.Context(), e.limits.connect), meterKey{}, &e.conns.meter))
	w := &wait{limit: t.wait, head: e.limits.head, cancel: cancel}
	defer w.over()
	defer func() {
		if w.again() {
			e.Retried()
			exchange.From(r.Context()).Flags |= exchange.Retried
		}
	}()
	resp, err := t.RoundTrip(r.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:      func(string) { w.begin() },
		GotConn:      func(httptrace.GotConnInfo) { w.end(); leave() },
		WroteRequest: func(httptrace.WroteRequestInfo) { w.sent() },
	})))
	if err == nil && e.limits.idle > 0 {
		resp.Body = newIdleBody(resp.Body, e.limits.idle, func() { cancel(errIdle) })
	}
	return resp, causeOf(ctx, err)
}

// causeOf gives the reason of ours for an error, if there is one.
func causeOf(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); errors.Is(cause, ErrBusy) || errors.Is(cause, errHead) {
		return cause
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return &ConnectError{err}
	}
	return err
}

// wait bounds the time that a request spends without a connection, and, with head,
// without an answer. The context of the request is not cancelled when it has ended:
// the body of the response is read under it.
type wait struct {
	limit, head time.Duration
	cancel      context.CancelCauseFunc

	mu sync.Mutex

	timer *time.Timer
	ended bool
	// conns counts the connections that the request got: more than one when it was
	// sent again.
	conns int
}

func (w *wait) begin() { w.within(w.limit, ErrBusy) }

// sent is when the request has been written, which may be after its answer.
func (w *wait) sent() { w.within(w.head, errHead) }

func (w *wait) within(limit time.Duration, reason error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	if w.timer != nil {
		w.timer.Stop() // net/http may say twice that it looks for a connection
	}
	if limit > 0 {
		w.timer = time.AfterFunc(limit, func() { w.cancel(reason) })
	}
}

func (w *wait) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns++
	if w.timer != nil {
		w.timer.Stop()
	}
}

// again tells that the request was sent more than once.
func (w *wait) again() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.conns > 1
}

// over is when nothing is waited for any more.
func (w *wait) over() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if w.timer != nil {
		w.timer.Stop()
	}
}
