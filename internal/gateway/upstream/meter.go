// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// meter counts the connections to an endpoint.
type meter struct {
	// name is that of the endpoint, as configured.
	name                              string
	created, failed, retried, ejected atomic.Uint64
	// shared are connections that carry several requests, which no connPool holds.
	shared atomic.Int64
}

// dialled counts an attempt to connect. One that the client has given up is none.
func (m *meter) dialled(err error) {
	switch {
	case err == nil:
		m.created.Add(1)
	case !errors.Is(err, exchange.ErrClientGone) && !errors.Is(err, context.Canceled):
		m.failed.Add(1)
	}
}

// Retried counts a request that is sent again.
func (e *Endpoint) Retried() { e.conns.meter.retried.Add(1) }

// meters are the pools whose connections are counted.
type meters struct {
	mu sync.Mutex

	pools map[*connPool]struct{}
}

func (m *meters) add(p *connPool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pools == nil {
		m.pools = map[*connPool]struct{}{}
	}
	m.pools[p] = struct{}{}
}

func (m *meters) remove(p *connPool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pools, p)
}

// Connections is what is known of the connections to an endpoint.
type Connections struct {
	// Endpoint is its name, as configured; others may have the same.
	Endpoint string
	// Open and Idle are how many there are, and of those over HTTP/1.1 how many wait.
	Open, Idle int
	// Created, Failed and Retried count connections that were made, and that could
	// not be made, and requests that were sent again. Ejected counts how often the
	// endpoint was taken out for failing requests.
	Created, Failed, Retried, Ejected uint64
}

// Connections gives the connections to all endpoints of live routes.
func (g *Registry) Connections() []Connections {
	g.meters.mu.Lock()
	defer g.meters.mu.Unlock()
	list := make([]Connections, 0, len(g.meters.pools))
	for p := range g.meters.pools {
		p.mu.Lock()
		open, idle := p.open, len(p.idle)
		p.mu.Unlock()
		list = append(list, Connections{
			Endpoint: p.meter.name, Open: open + int(p.meter.shared.Load()), Idle: idle,
			Created: p.meter.created.Load(), Failed: p.meter.failed.Load(), Retried: p.meter.retried.Load(),
			Ejected: p.meter.ejected.Load(),
		})
	}
	return list
}

// meterKey is the key of a context that says who connects.
type meterKey struct{}

// counted connects for http.Transport and counts for the endpoint that wants it.
func (d *dialer) counted(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.DialContext(ctx, network, address)
	m, ok := ctx.Value(meterKey{}).(*meter)
	if !ok {
		return conn, err
	}
	if m.dialled(err); err != nil {
		return nil, err
	}
	m.shared.Add(1)
	return &countedConn{Conn: conn, end: sync.OnceFunc(func() { m.shared.Add(-1) })}, nil
}

// countedConn tells when it is closed.
type countedConn struct {
	net.Conn

	end func()
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	c.end()
	return c.Conn.Close()
}
