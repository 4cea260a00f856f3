// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// transportKey is what makes two transports one.
type transportKey struct {
	tls      tlsKey
	protocol protocol
	// probes go beside the requests: an endpoint whose connections are all in use
	// is busy, not ill.
	probes bool
}

// transport is a set of connections, kept alive between requests.
type transport struct {
	make func() *http.Transport
	now  atomic.Pointer[http.Transport]

	// wait is how long a request waits for a connection, queue how many may; 0 is no
	// limit.
	wait  time.Duration
	queue int64
	// idle counts the connections over HTTP/1.1 that idle in connPools.
	idle atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.now.Load().RoundTrip(r)
}

// renew has the requests to come make connections of their own, since those that
// there are may lead to addresses of before. They end with their requests. U6
func (t *transport) renew() { t.now.Swap(t.make()).CloseIdleConnections() }

// Close ends the connections that idle; those in use end with their requests.
func (t *transport) Close() error {
	t.now.Load().CloseIdleConnections()
	return nil
}

// What is not configured.
const (
	defaultIdleConns        = 512
	defaultIdleConnsPerHost = 256
	defaultConnsPerHost     = 256
	defaultIdleTimeout      = 90 // seconds
	handshakeTimeout        = 10 * time.Second
	// A connection that carries many requests is asked now and then whether it is
	// still there: a dead one would hold them all. H10
	//
	// Servers of gRPC take pings in less than five minutes for a flood and hang up, and
	// streams may be silent for longer. Until then it is the system that finds out.
	pingAfter   = 5*time.Minute + 15*time.Second
	pingTimeout = 15 * time.Second
	// unacknowledged is how long the system waits for a word of the other side, where a
	// backend surely reads all that it is sent, because it speaks HTTP/2.
	unacknowledged = 45 * time.Second
)

func (g *Registry) newTransport(p protocol, t *tlsSettings) *transport {
	s := g.settings.Networking.Transport
	out := &transport{wait: waitTimeout, queue: waitersPerConn * int64(or(s.MaxConnsPerHost, defaultConnsPerHost))}
	out.make = func() *http.Transport { return g.httpTransport(p, t) }
	out.now.Store(out.make())
	return out
}

func (g *Registry) httpTransport(p protocol, t *tlsSettings) *http.Transport {
	s := g.settings.Networking.Transport
	dial := g.dialer.counted
	if p == onlyHTTP2 || p == h2c {
		dial = impatient(dial)
	}
	return &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        t.config.Clone(),
		TLSHandshakeTimeout:    seconds(s.TLSHandshakeTimeout, handshakeTimeout),
		MaxIdleConns:           or(s.MaxIdleConns, defaultIdleConns),
		MaxIdleConnsPerHost:    or(s.MaxIdleConnsPerHost, defaultIdleConnsPerHost),
		MaxConnsPerHost:        or(s.MaxConnsPerHost, defaultConnsPerHost),
		IdleConnTimeout:        time.Duration(or(s.IdleConnTimeout, defaultIdleTimeout)) * time.Second,
		DisableCompression:     true, // content codings are between client and backend
		MaxResponseHeaderBytes: maxResponseHead,
		Protocols:              protocols(p, s),
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// impatient has connections fail whose other side is silent below HTTP/2. It is no
// fault where the system does not know of such a thing.
func impatient(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err == nil {
			giveUpAfter(c, unacknowledged)
		}
		return c, err
	}
}

// maxResponseHead bounds the head of a response.
const maxResponseHead = 256 << 10

func protocols(p protocol, s config.Transport) *http.Protocols {
	var out http.Protocols
	switch p {
	case onlyHTTP2:
		out.SetHTTP2(true)
	case h2c:
		out.SetUnencryptedHTTP2(true)
	case onlyHTTP1:
		out.SetHTTP1(true)
	default:
		out.SetHTTP1(true)
		out.SetHTTP2(s.ForceAttemptHTTP2 == nil || *s.ForceAttemptHTTP2)
	}
	return &out
}

func seconds(n int, fallback time.Duration) time.Duration {
	if n <= 0 {
		return fallback
	}
	return time.Duration(n) * time.Second
}

func or(value *int, fallback int) int {
	if value == nil {
		return fallback
	}
	return *value
}

// tlsConfig is what every connection with TLS begins with.
func tlsConfig(insecure bool) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure} //nolint:gosec // by the user's explicit wish
}
