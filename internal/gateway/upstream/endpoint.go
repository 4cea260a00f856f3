// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"strings"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// Endpoint is one address that requests go to.
type Endpoint struct {
	backend    config.Backend
	conditions []condition

	name, scheme, host, path string

	// transport is for what HTTP/1.1 is not enough for, conns for the rest.
	transport *transport
	conns     *connPool
	// waiting counts the requests that have no connection of transport yet, follows
	// renews that when the addresses change.
	waiting  atomic.Int64
	follows  *follower
	protocol protocol
	// probe is nil without a health check, which is healthy.
	probe *probe
	// standing is nil where nothing needs it.
	standing *standing

	cluster *Cluster
	limits  limits
	// seed sets the endpoint apart where values are hashed.
	seed uint64
	// word stands for it in cookies of a sticky route.
	word, cookie, secureCookie string
}

// String gives scheme://host:port, as configured.
func (e *Endpoint) String() string { return e.name }

// Scheme is http or https.
func (e *Endpoint) Scheme() string { return e.scheme }

// Host is the endpoint's host and port, as configured.
func (e *Endpoint) Host() string { return e.host }

// Path goes in front of the path of every request; it has no slash at its end,
// and may be empty.
func (e *Endpoint) Path() string { return e.path }

// SpeaksHTTP1 tells that requests go over a Conn. Those to any other endpoint go by
// RoundTrip, but for upgrades, which only HTTP/1.1 has.
func (e *Endpoint) SpeaksHTTP1() bool { return e.protocol == onlyHTTP1 }

// Connect gives a connection to a request that a client has an interest in: one
// that idles, if there is one and fresh is not asked for. Without a free one it
// waits, for a bounded time; then the error is ErrBusy.
func (e *Endpoint) Connect(i *exchange.Interest, now time.Time, fresh bool) (*Conn, error) {
	return e.ConnectBy(i, now, fresh, time.Time{})
}

// ConnectBy is Connect for a request that must be over at a time; see Deadline.
func (e *Endpoint) ConnectBy(i *exchange.Interest, now time.Time, fresh bool, deadline time.Time) (*Conn, error) {
	return e.conns.get(want{interest: i, now: now, fresh: fresh, limits: &e.limits, deadline: deadline})
}

// healthy is what its probe says.
func (e *Endpoint) healthy() bool { return e.probe == nil || e.probe.failure.Load() == nil }

func (e *Endpoint) available() bool { return e.healthy() && !e.ejected() }

// matches tells whether all conditions hold; without any they do.
func (e *Endpoint) matches(q Request) bool {
	for i := range e.conditions {
		if !e.conditions[i].holds(q) {
			return false
		}
	}
	return true
}

// protocol is how a transport speaks.
type protocol uint8

const (
	negotiated protocol = iota // HTTP/1.1, or HTTP/2 where TLS agrees on it
	onlyHTTP1
	onlyHTTP2 // with TLS
	h2c       // HTTP/2 without TLS, by prior knowledge
)

// dialect parts the scheme of an endpoint into that of its URL and a protocol.
func dialect(scheme string) (string, protocol) {
	switch strings.ToLower(scheme) {
	case "https":
		return "https", negotiated
	case "wss":
		return "https", onlyHTTP1
	case "grpcs":
		return "https", onlyHTTP2
	case "h2c", "grpc":
		return "http", h2c
	}
	return "http", onlyHTTP1
}
