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
	// Handler gets the requests that have a normal form.
	Handler http.Handler
	// Wrap, if set, goes around Handler and around refusals, to log and count both.
	// Without it refusals are written to Logger.
	Wrap func(http.Handler) http.Handler
	// TLS, if set, is spoken on every connection.
	TLS *tls.Config
	// Proxy and Timeouts are the first ones; Set puts others into effect.
	Proxy    config.Proxy
	Timeouts config.Timeouts
	// Logger is for what goes wrong below HTTP; nil discards it.
	Logger *slog.Logger
}

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
	wrap     func(http.Handler) http.Handler
	log      *slog.Logger
	listener net.Listener
	server   *http.Server
	secure   bool

	settings atomic.Pointer[settings]
	retired  atomic.Bool
	tunnels  tunnels
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
		name: o.Name, handler: o.Wrap(o.Handler), wrap: o.Wrap, log: log, secure: o.TLS != nil,
		listener: hurried{listener},
	}
	e.Set(o.Proxy, o.Timeouts)
	e.server = &http.Server{
		Handler: e, TLSConfig: o.TLS, ReadHeaderTimeout: headerTimeout, IdleTimeout: orDefault(o.Timeouts.Idle, idleTimeout),
		MaxHeaderBytes: maxHeaderBytes, Protocols: protocols(e.secure), DisableGeneralOptionsHandler: true,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, SendPingTimeout: pingAfter, PingTimeout: pingTimeout,
			MaxReceiveBufferPerStream: streamWindow, MaxReceiveBufferPerConnection: connectionWindow,
		},
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
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

// hurried gives every connection a time for its first bytes. The server looks for
// the preface of HTTP/2 before it sets any deadline of its own. H9
type hurried struct{ net.Listener }

// Accept implements net.Listener.
func (l hurried) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		_ = c.SetReadDeadline(time.Now().Add(headerTimeout)) // the first read tells what is wrong
	}
	return c, err
}

// Set changes, for the requests to come, which proxies are trusted and how long a
// body may make no progress. The idle timeout stays as it was at the start.
func (e *EntryPoint) Set(p config.Proxy, t config.Timeouts) {
	e.settings.Store(&settings{
		trust: newTrust(p), read: orDefault(t.Read, progressTimeout), write: orDefault(t.Write, progressTimeout),
	})
}

func orDefault(seconds int, fallback time.Duration) time.Duration {
	if seconds <= 0 {
		return fallback
	}
	return time.Duration(seconds) * time.Second
}

// Addr is where the entry point listens.
func (e *EntryPoint) Addr() net.Addr { return e.listener.Addr() }

// Serve accepts connections until Drain or Close, and then returns nil. An error
// means that the listener broke.
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

type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}
