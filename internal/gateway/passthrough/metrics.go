// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package passthrough

import (
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// meter counts what happens on a port. Of UDP, connections are sessions.
type meter struct {
	opened, closed atomic.Uint64
	refused        [len(reasons)]atomic.Uint64
	bytes          [len(directions)]atomic.Uint64
}

// Why something is refused.
const (
	refusedFull = iota
	refusedHeader
	refusedTarget
)

var reasons = [...]string{refusedFull: "limit", refusedHeader: "proxy_protocol", refusedTarget: "target"}

// The directions, as seen from the gateway's clients.
const (
	received = iota
	sent
)

var directions = [...]string{received: "received", sent: "sent"}

// The metrics. Labels come from the configuration, so clients cannot make series.
var (
	descOpened = prometheus.NewDesc("gateway_passthrough_connections_total",
		"TCP connections and UDP sessions that were forwarded. One series for a port.", []string{"protocol", "port"}, nil)
	descActive = prometheus.NewDesc("gateway_passthrough_connections_active",
		"TCP connections and UDP sessions that are open. One series for a port.", []string{"protocol", "port"}, nil)
	descRefused = prometheus.NewDesc("gateway_passthrough_refused_total",
		"Connections, and datagrams without a session, that were not forwarded. Three series for a port.", []string{"protocol", "port", "reason"}, nil)
	descBytes = prometheus.NewDesc("gateway_passthrough_bytes_total",
		"Bytes received from clients and sent to them, counted when a TCP connection ends. Two series for a port.",
		[]string{"protocol", "port", "direction"}, nil)
)

var _ prometheus.Collector = (*Server)(nil)

// Describe implements prometheus.Collector.
func (s *Server) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descOpened, descActive, descRefused, descBytes} {
		out <- d
	}
}

// Collect implements prometheus.Collector: the ports that there are rules for.
func (s *Server) Collect(out chan<- prometheus.Metric) {
	s.mu.Lock()
	ports := make([]*port, 0, len(s.ports))
	for _, p := range s.ports {
		ports = append(ports, p)
	}
	s.mu.Unlock()
	for _, p := range ports {
		p.collect(out)
	}
}

func (p *port) collect(out chan<- prometheus.Metric) {
	labels := []string{p.key.Protocol, strconv.Itoa(p.key.Number)}
	send := func(d *prometheus.Desc, t prometheus.ValueType, v uint64, more ...string) {
		out <- prometheus.MustNewConstMetric(d, t, float64(v), append(labels[:2:2], more...)...)
	}
	closed := p.meter.closed.Load() // before opened, which is never less
	opened := p.meter.opened.Load()
	send(descOpened, prometheus.CounterValue, opened)
	send(descActive, prometheus.GaugeValue, opened-closed)
	for i := range reasons {
		send(descRefused, prometheus.CounterValue, p.meter.refused[i].Load(), reasons[i])
	}
	for i := range directions {
		send(descBytes, prometheus.CounterValue, p.meter.bytes[i].Load(), directions[i])
	}
}
