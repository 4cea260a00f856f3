// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gateway.jkaninda.dev/goma/internal/gateway/counter"
)

// CertificateState is when the certificate of a host ends.
type CertificateState struct {
	Host     string
	NotAfter time.Time
}

// SourceState is how fresh the content of a remote source is.
type SourceState struct {
	Name string
	// Confirmed is zero when the origin never did.
	Confirmed time.Time
	Stale     bool
}

// Metrics holds the numbers of the gateway. It is safe for concurrent use.
type Metrics struct {
	started             time.Time
	routes, middlewares atomic.Int64
	// Dropped and Panics, where set, give numbers that others count.
	Dropped, Panics func() uint64
	// Sources, where set, tells about the remote sources.
	Sources func() []SourceState
	// Certificates, where set, tells about the certificates in use, each host once.
	Certificates func() []CertificateState
	// Counters are the numbers of parts that come and go, such as middlewares.
	Counters *counter.Set

	// Listeners, Endpoints, Health and Ejections, where set, give numbers that others hold, at
	// the time of asking. Tracer may be nil.
	Listeners func() []ListenerState
	Endpoints func() []EndpointState
	Health    func() []HealthState
	Ejections func() []EjectionState
	Tracer    *Tracer

	config    configMeter
	visitors  visitors
	countryOf atomic.Pointer[func(netip.Addr) string]

	mu     sync.Mutex
	meters map[string]*RouteMeter
}

// NewMetrics starts with nothing counted, and the uptime at zero.
func NewMetrics() *Metrics {
	return &Metrics{started: time.Now(), meters: map[string]*RouteMeter{}, Counters: counter.New()}
}

// SetCounts tells how many objects are live.
func (m *Metrics) SetCounts(routes, middlewares int) {
	m.routes.Store(int64(routes))
	m.middlewares.Store(int64(middlewares))
}

// Route gives a new meter of a route. Its series exist until it is closed.
func (m *Metrics) Route(name string) *RouteMeter {
	meter := &RouteMeter{name: name, owner: m}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.meters[name] = meter
	return meter
}

// Handler serves the metrics, and those of the Go runtime and the process, as
// Prometheus reads them.
func (m *Metrics) Handler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(m, m.Counters, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// SetVisitorTTL says how long after its last request a client counts as a visitor.
func (m *Metrics) SetVisitorTTL(d time.Duration) { m.visitors.setTTL(d) }

// SetCountries has requests counted by the country that find tells.
func (m *Metrics) SetCountries(find func(netip.Addr) string) { m.countryOf.Store(&find) }

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range descriptions {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	now := time.Now()
	gauge := func(d *prometheus.Desc, v float64) { out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	gauge(descUptime, now.Sub(m.started).Seconds())
	gauge(descRoutes, float64(m.routes.Load()))
	gauge(descMiddlewares, float64(m.middlewares.Load()))
	gauge(descVisitors, m.visitors.count(now))
	count := func(d *prometheus.Desc, of func() uint64) {
		if of != nil {
			out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(of()))
		}
	}
	count(descDropped, m.Dropped)
	count(descPanics, m.Panics)
	if m.Tracer != nil {
		count(descSpans, m.Tracer.Exported)
		count(descSpansLost, m.Tracer.Lost)
	}
	m.config.collect(out)
	m.collectSources(out)
	m.collectStates(out)
	m.collectCertificates(out, now)
	m.mu.Lock()
	meters := make([]*RouteMeter, 0, len(m.meters))
	for _, meter := range m.meters {
		meters = append(meters, meter)
	}
	m.mu.Unlock()
	for _, meter := range meters {
		meter.collect(out)
	}
}

func (m *Metrics) collectCertificates(out chan<- prometheus.Metric, now time.Time) {
	if m.Certificates == nil {
		return
	}
	for _, c := range m.Certificates() {
		out <- prometheus.MustNewConstMetric(descExpiry, prometheus.GaugeValue, c.NotAfter.Sub(now).Seconds(), c.Host)
	}
}

func (m *Metrics) collectSources(out chan<- prometheus.Metric) {
	if m.Sources == nil {
		return
	}
	for _, s := range m.Sources() {
		if !s.Confirmed.IsZero() {
			out <- prometheus.MustNewConstMetric(descSourceAge, prometheus.GaugeValue, time.Since(s.Confirmed).Seconds(), s.Name)
		}
		stale := 0.0
		if s.Stale {
			stale = 1
		}
		out <- prometheus.MustNewConstMetric(descSourceStale, prometheus.GaugeValue, stale, s.Name)
	}
}
