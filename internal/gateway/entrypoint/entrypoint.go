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
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/downstream"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/http1"
	"gateway.jkaninda.dev/goma/internal/gateway/http2"
	"gateway.jkaninda.dev/goma/internal/gateway/limit"
	"gateway.jkaninda.dev/goma/internal/gateway/proxyprotocol"
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
	// Authorised, if set, tells whether a connection, for which the client named the one
	// host in the handshake, or none, may carry a request for the other.
	Authorised func(name, host string) bool
	// Point has the bounds on connections, the PROXY protocol and upgrades. Its
	// address is not looked at.
	Point config.EntryPoint
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
	maxFrameBytes    = 16 << 10 // the least that RFC 9113 §4.2 allows
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

	authorised func(name, host string) bool

	// http1 serves the connections itself; http2 gets those that speak HTTP/2.
	http1 *downstream.Server
	http2 *http2.Server
	young young
	// admission bounds the connections.
	admission *admission
	unheard   limit.Throttle
	floods    limit.Throttle
	// headers reads those of the PROXY protocol; nil without.
	headers *proxyprotocol.Listener
	point   config.EntryPoint
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
	// upgrades are the protocols beside websocket that a connection may change to.
	upgrades []string
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
		listener: listener, tls: o.TLS, secure: o.TLS != nil, authorised: o.Authorised, stopped: make(chan struct{}),
		admission: newAdmission(o.Point.MaxConnections, o.Point.MaxConnectionsPerClient), point: o.Point,
	}
	e.readHeaders()
	e.http1 = downstream.NewServer(downstream.Options{
		Serve: e.serveStream, HTTP2: e.handOver, Panicked: e.panicked, HeadTimeout: headerTimeout,
		Limits: http1.Limits{HeadBytes: maxHeaderBytes, LineBytes: maxTargetBytes, Fields: maxFields},
	}, downstream.Timeouts{})
	e.http2 = http2.NewServer(http2.Options{
		Handler: e, TooLarge: http.HandlerFunc(e.serveTooLarge), Panicked: func(p any) { e.panicked(nil, p) },
		HeadTimeout: headerTimeout, PingAfter: pingAfter, PingTimeout: pingTimeout, MaxHeaderBytes: maxHeaderBytes,
		MaxStreams: maxStreams, StreamWindow: streamWindow, ConnWindow: connectionWindow,
	})
	e.Set(o.Proxy, o.Timeouts)
	return e, nil
}

// panicked tells of a panic that nobody else has seen. E5
func (e *EntryPoint) panicked(_ *downstream.Stream, p any) {
	e.log.Error("panic on a connection", "err", fmt.Sprint(p), "stack", string(debug.Stack()))
}

// Set changes, for the requests to come, which proxies are trusted and how long a
// client may make no progress.
func (e *EntryPoint) Set(p config.Proxy, t config.Timeouts) {
	s := newSettings(p, t)
	s.upgrades = e.point.Upgrades
	e.settings.Store(s)
	if e.headers != nil {
		e.headers.Trust(e.headerPeers(p))
	}
	e.http1.Set(downstream.Timeouts{Read: s.read, Write: s.write, Idle: orDefault(t.Idle, idleTimeout)})
	e.http2.SetIdleTimeout(orDefault(t.Idle, idleTimeout))
}

// readHeaders has the addresses of connections be those that load balancers tell in
// headers of the PROXY protocol, where that is configured.
func (e *EntryPoint) readHeaders() {
	if p := e.point.ProxyProtocol; p == nil || !p.Accept {
		return
	}
	e.headers = proxyprotocol.NewListener(e.listener, proxyprotocol.Options{Refused: func(peer netip.Addr, err error) {
		e.admission.header.Add(1)
		if n := e.unheard.Say(); n > 0 {
			e.log.Warn("a load balancer's connection is refused", "peer", peer.String(), "err", err, "times", n)
		}
	}})
	e.listener = e.headers
}

// headerPeers are the load balancers that must send headers. With settings that config
// refuses there are none, and a header is a malformed request.
func (e *EntryPoint) headerPeers(p config.Proxy) proxyprotocol.Peers {
	peers, err := proxyprotocol.Configured(e.point.ProxyProtocol.TrustedProxies, p)
	if err != nil {
		return proxyprotocol.Peers{}
	}
	return peers
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
func (e *EntryPoint) Addr() net.Addr { return e.listener.Addr() }

// Connections gives how many connections are open, how many were accepted, and on how
// many of those TLS was not agreed.
func (e *EntryPoint) Connections() (open int64, accepted, unagreed uint64) {
	return e.open.Load(), e.accepted.Load(), e.unagreed.Load()
}

// Name is that of Options.
func (e *EntryPoint) Name() string { return e.name }

// Secure tells that TLS is spoken.
func (e *EntryPoint) Secure() bool { return e.secure }

// handOver gives a connection to the server of HTTP/2. Until its end it counts on its
// own.
func (e *EntryPoint) handOver(c net.Conn) {
	h := newHTTP2Conn(e, c, e.counted(c))
	e.open.Add(1)
	e.admission.conns.Stay(h.client)
	go func() {
		defer h.leave()
		e.http2.ServeConn(withConn(context.Background(), h), h)
	}()
}
