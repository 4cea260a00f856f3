// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package passthrough

import (
	"strconv"

	"gateway.jkaninda.dev/goma/internal/gateway/counter"
)

// The metrics. Labels come from the configuration, so clients cannot make series.
var (
	kindOpened = counter.Kind{
		Name:   "gateway_passthrough_connections_total",
		Help:   "TCP connections and UDP sessions that were begun. One series for a port.",
		Labels: []string{"protocol", "port"},
	}
	kindActive = counter.Kind{
		Name:   "gateway_passthrough_connections_active",
		Help:   "TCP connections and UDP sessions that are open. One series for a port.",
		Labels: []string{"protocol", "port"}, Gauge: true,
	}
	kindRefused = counter.Kind{
		Name:   "gateway_passthrough_refused_total",
		Help:   "Connections, and datagrams without a session, that were not forwarded. Four series for a port.",
		Labels: []string{"protocol", "port", "reason"},
	}
	kindBytes = counter.Kind{
		Name:   "gateway_passthrough_bytes_total",
		Help:   "Bytes received from clients and sent to them, counted when a TCP connection ends. Two series for a port.",
		Labels: []string{"protocol", "port", "direction"},
	}
)

// Why something is refused.
const (
	refusedFull = iota
	refusedClient
	refusedHeader
	refusedTarget
)

var reasons = [...]string{refusedFull: "limit", refusedClient: "client_limit", refusedHeader: "proxy_protocol", refusedTarget: "target"}

// The directions, as seen from the gateway's clients.
const (
	received = iota
	sent
)

var directions = [...]string{received: "received", sent: "sent"}

// meter counts what happens on a port. Of UDP, connections are sessions.
type meter struct {
	opened, active *counter.Value
	refused        [len(reasons)]*counter.Value
	bytes          [len(directions)]*counter.Value
	releases       []func()
}

func newMeter(set *counter.Set, key Port) *meter {
	m := &meter{}
	get := func(k *counter.Kind, more ...string) *counter.Value {
		v, release := set.Get(k, append([]string{key.Protocol, strconv.Itoa(key.Number)}, more...)...)
		m.releases = append(m.releases, release)
		return v
	}
	m.opened, m.active = get(&kindOpened), get(&kindActive)
	for i, reason := range reasons {
		m.refused[i] = get(&kindRefused, reason)
	}
	for i, direction := range directions {
		m.bytes[i] = get(&kindBytes, direction)
	}
	return m
}

func (m *meter) begin() {
	m.opened.Add()
	m.active.AddN(1)
}

func (m *meter) end() { m.active.AddN(-1) }

// release ends the series of the port.
func (m *meter) release() {
	for _, release := range m.releases {
		release()
	}
}
