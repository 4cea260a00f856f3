// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// Options say what to listen on, and for whom.
type Options struct {
	// Name is web, webSecure or admin; it is for the log.
	Name string
	// Address is host:port; without a host all addresses, of both families.
	Address string
	Handler http.Handler
	// Wrap, if set, goes around Handler and around refusals, to log and count both.
	Wrap func(http.Handler) http.Handler
	// TLS, if set, is spoken on every connection.
	TLS *tls.Config
	// Proxy and Timeouts are the first ones; Set puts others into effect.
	Proxy    config.Proxy
	Timeouts config.Timeouts
	Logger   *slog.Logger
}

// The bounds on what a client can make us hold or wait for.
const (
	headerTimeout   = 10 * time.Second
	progressTimeout = 60 * time.Second
	idleTimeout     = 180 * time.Second
	maxHeaderBytes  = 64 << 10
	maxStreams      = 250
	pingAfter       = 30 * time.Second
	pingTimeout     = 15 * time.Second
)

// EntryPoint is one listener.
type EntryPoint struct {
	name     string
	handler  http.Handler
	wrap     func(http.Handler) http.Handler
	log      *slog.Logger
	listener net.Listener
	server   *http.Server
	secure   bool

	settings atomic.Pointer[settings]
	retired  atomic.Bool
	running  tracker
}

// settings are what can change while the listener runs.
type settings struct {
	trust       trust
	read, write time.Duration
}

// Listen takes the port. Nothing is accepted before Serve.
func Listen(o Options) (*EntryPoint, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	listener, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", o.Address, err)
	}
	if o.Wrap == nil {
		o.Wrap = func(h http.Handler) http.Handler { return h }
	}
	e := &EntryPoint{
		name: o.Name, handler: o.Wrap(o.Handler), wrap: o.Wrap, log: o.Logger, listener: listener, secure: o.TLS != nil,
	}
	e.Set(o.Proxy, o.Timeouts)
	idle := idleTimeout
	if o.Timeouts.Idle > 0 {
		idle = time.Duration(o.Timeouts.Idle) * time.Second
	}
	e.server = &http.Server{
		Handler: e, TLSConfig: o.TLS, ReadHeaderTimeout: headerTimeout, IdleTimeout: idle,
		MaxHeaderBytes: maxHeaderBytes, Protocols: protocols(e.secure),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, SendPingTimeout: pingAfter, PingTimeout: pingTimeout,
		},
		ErrorLog:    slog.NewLogLogger(o.Logger.With("entry_point", o.Name).Handler(), slog.LevelDebug),
		ConnContext: withConn,
	}
	return e, nil
}

func protocols(secure bool) *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetHTTP2(secure)
	p.SetUnencryptedHTTP2(!secure)
	return &p
}

// Set changes, for the requests to come, which proxies are trusted and how long a
// body may make no progress. The idle timeout stays as it was at the start.
func (e *EntryPoint) Set(p config.Proxy, t config.Timeouts) {
	e.settings.Store(&settings{
		trust: newTrust(p), read: progress(t.Read), write: progress(t.Write),
	})
}

func progress(seconds int) time.Duration {
	if seconds <= 0 {
		return progressTimeout
	}
	return time.Duration(seconds) * time.Second
}

// Addr is where the entry point listens.
func (e *EntryPoint) Addr() net.Addr { return e.listener.Addr() }

// Serve accepts connections until Drain or Close, and then returns nil.
func (e *EntryPoint) Serve() error {
	var err error
	if e.secure {
		err = e.server.ServeTLS(e.listener, "", "")
	} else {
		err = e.server.Serve(e.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("entry point %s: %w", e.name, err)
}

// Retire asks clients to take their next request elsewhere, while this one and
// every other is still served: each answer closes its connection. E1
func (e *EntryPoint) Retire() { e.retired.Store(true) }

// Drain takes no new connections, closes idle ones, and waits until the requests
// that run have ended, those over upgraded connections too, or the context has.
func (e *EntryPoint) Drain(ctx context.Context) error {
	e.Retire()
	err := e.server.Shutdown(ctx)
	return errors.Join(err, e.running.wait(ctx))
}

// Close ends everything at once.
func (e *EntryPoint) Close() error {
	err := errors.Join(e.server.Close(), e.listener.Close())
	e.running.closeAll()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// tracker knows the requests that run, by the connection they came on: the server
// itself loses sight of connections that are upgraded.
type tracker struct {
	mu sync.Mutex

	running map[net.Conn]int
	total   int
	idle    chan struct{} // closed when total is 0; nil when nobody waits
}

func (t *tracker) begin(c net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running == nil {
		t.running = map[net.Conn]int{}
	}
	t.running[c]++
	t.total++
}

func (t *tracker) end(c net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running[c]--; t.running[c] == 0 {
		delete(t.running, c)
	}
	if t.total--; t.total == 0 && t.idle != nil {
		close(t.idle)
		t.idle = nil
	}
}

func (t *tracker) wait(ctx context.Context) error {
	t.mu.Lock()
	if t.total == 0 {
		t.mu.Unlock()
		return nil
	}
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	idle := t.idle
	t.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *tracker) closeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.running {
		if c != nil {
			_ = c.Close()
		}
	}
}
