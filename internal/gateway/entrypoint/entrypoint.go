// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/downstream"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/http1"
)

// Options say what to listen on, and for whom.
type Options struct {
	// Name is web, webSecure or admin; it is for the log.
	Name string
	// Address is host:port; without a host all addresses, of both families.
	Address string
	// Handler gets the requests that have a normal form.
	Handler http.Handler
	// Direct, if set, may serve a request of HTTP/1 that has a normal form in place
	// of Handler, and without Wrap; it is false for one that it leaves alone. An
	// answer in its place is left to the handler that it gives, in Wrap.
	Direct Direct
	// Wrap, if set, goes around Handler and around refusals, to log and count both.
	// Without it refusals are written to Logger.
	Wrap func(http.Handler) http.Handler
	// Trace, if set, gives a request its place in a trace. It is given the values of
	// the client's traceparent and tracestate.
	Trace func(x *exchange.Exchange, parents, states []string)
	// TLS, if set, is spoken on every connection.
	TLS *tls.Config
	// Proxy and Timeouts are the first ones; Set puts others into effect.
	Proxy    config.Proxy
	Timeouts config.Timeouts
	// Logger is for what goes wrong below HTTP; nil discards it.
	Logger *slog.Logger
}

// Direct serves a request from the client's own connection.
type Direct func(s *downstream.Stream, query string, asked bool) (served bool, other http.Handler)

// The bounds on what a client can make us hold or wait for.
const (
	headerTimeout   = 10 * time.Second
	progressTimeout = 60 * time.Second
	idleTimeout     = 180 * time.Second
	maxHeaderBytes  = 64 << 10

	maxStreams       = 250
	streamWindow     = 256 << 10
	connectionWindow = 4 << 20 // 16 streams that nobody reads stall no other one
	pingAfter        = 30 * time.Second
	pingTimeout      = 15 * time.Second
)

// EntryPoint is one listener. Its methods are safe for concurrent use.
type EntryPoint struct {
	name     string
	handler  http.Handler
	direct   Direct
	wrap     func(http.Handler) http.Handler
	trace    func(x *exchange.Exchange, parents, states []string)
	log      *slog.Logger
	listener net.Listener
	tls      *tls.Config
	secure   bool

	// http1 serves the connections itself; http2 gets those that speak HTTP/2
	// through handed.
	http1  *downstream.Server
	http2  *http.Server
	handed *handover
	young  young
	// open, accepted and unagreed count connections; see Connections.
	open               atomic.Int64
	accepted, unagreed atomic.Uint64

	settings atomic.Pointer[settings]
	retired  atomic.Bool
	stopped  chan struct{}
	stopOnce sync.Once
}

// settings are what can change while the listener runs.
type settings struct {
	trust trust
	// read and write are how long a body may make no progress.
	read, write time.Duration
}

// Listen takes the port. Nothing is accepted before Serve.
func Listen(o Options) (*EntryPoint, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	log := o.Logger.With("entry_point", o.Name)
	if o.Wrap == nil {
		o.Wrap = logRefusals(log)
		o.Handler = unwrapped{o.Handler}
	}
	var options net.ListenConfig
	listener, err := options.Listen(context.Background(), "tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", o.Address, err)
	}
	e := &EntryPoint{
		name: o.Name, handler: o.Wrap(o.Handler), direct: o.Direct, wrap: o.Wrap, trace: o.Trace, log: log,
		listener: listener, tls: o.TLS, secure: o.TLS != nil, stopped: make(chan struct{}),
	}
	e.handed = newHandover(listener.Addr())
	e.http1 = downstream.NewServer(downstream.Options{
		Serve: e.serveStream, HTTP2: e.handOver, Panicked: e.panicked, HeadTimeout: headerTimeout,
		Limits: http1.Limits{HeadBytes: maxHeaderBytes, LineBytes: maxTargetBytes, Fields: maxFields},
	}, downstream.Timeouts{})
	e.Set(o.Proxy, o.Timeouts)
	e.http2 = &http.Server{
		Handler: e, ReadHeaderTimeout: headerTimeout, IdleTimeout: orDefault(o.Timeouts.Idle, idleTimeout),
		MaxHeaderBytes: maxHeaderBytes, Protocols: protocols(e.secure), DisableGeneralOptionsHandler: true,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, SendPingTimeout: pingAfter, PingTimeout: pingTimeout,
			MaxReceiveBufferPerStream: streamWindow, MaxReceiveBufferPerConnection: connectionWindow,
		},
		ConnState: e.handedState,
		ErrorLog:  slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return e, nil
}

func protocols(secure bool) *http.Protocols {
	var p http.Protocols
	p.SetHTTP2(secure)
	p.SetUnencryptedHTTP2(!secure)
	return &p
}

// panicked tells of a panic that nobody else has seen. E5
func (e *EntryPoint) panicked(_ *downstream.Stream, p any) {
	e.log.Error("panic on a connection", "err", fmt.Sprint(p), "stack", string(debug.Stack()))
}

// Set changes, for the requests to come, which proxies are trusted and how long a
// client may make no progress. Over HTTP/2 the idle timeout stays as it was at the
// start.
func (e *EntryPoint) Set(p config.Proxy, t config.Timeouts) {
	s := newSettings(p, t)
	e.settings.Store(s)
	e.http1.Set(downstream.Timeouts{Read: s.read, Write: s.write, Idle: orDefault(t.Idle, idleTimeout)})
}

func newSettings(p config.Proxy, t config.Timeouts) *settings {
	return &settings{trust: newTrust(p), read: orDefault(t.Read, progressTimeout), write: orDefault(t.Write, progressTimeout)}
}

func orDefault(seconds int, fallback time.Duration) time.Duration {
	if seconds <= 0 {
		return fallback
	}
	return time.Duration(seconds) * time.Second
}

// Addr is where the entry point listens.
func (e *EntryPoint) Addr() net.Addr { return e.handed.address }

// Connections gives how many connections are open, how many were accepted, and on how
// many of those TLS was not agreed.
func (e *EntryPoint) Connections() (open int64, accepted, unagreed uint64) {
	return e.open.Load(), e.accepted.Load(), e.unagreed.Load()
}

// Name is that of Options.
func (e *EntryPoint) Name() string { return e.name }

// Secure tells that TLS is spoken.
func (e *EntryPoint) Secure() bool { return e.secure }

// handOver gives a connection to the server of HTTP/2, which tells its end.
func (e *EntryPoint) handOver(c net.Conn) {
	e.open.Add(1)
	if !e.handed.give(c) {
		e.open.Add(-1)
	}
}

// handedState is told of the connections of HTTP/2.
func (e *EntryPoint) handedState(_ net.Conn, state http.ConnState) {
	if state == http.StateClosed || state == http.StateHijacked {
		e.open.Add(-1)
	}
}
