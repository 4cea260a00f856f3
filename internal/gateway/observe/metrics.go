// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gateway.jkaninda.dev/goma/internal/gateway/counter"
)

// The metrics. Labels come from configured routes, the methods below and status
// codes, so clients cannot make series.
var (
	descUptime = prometheus.NewDesc("gateway_uptime_seconds",
		"Seconds since the gateway started. One series.", nil, nil)
	descRoutes = prometheus.NewDesc("gateway_routes_count",
		"Routes that are live. One series.", nil, nil)
	descMiddlewares = prometheus.NewDesc("gateway_middlewares_count",
		"Middlewares that are live. One series.", nil, nil)
	descRequests = prometheus.NewDesc("gateway_requests_total",
		"Requests by route and method. At most ten series for a route.", []string{"name", "method"}, nil)
	descStatus = prometheus.NewDesc("gateway_response_status_total",
		"Answers by status, route and method. One series for each combination seen.", []string{"status", "name", "method"}, nil)
	descDuration = prometheus.NewDesc("gateway_request_duration_seconds",
		"Time from the head of a request to the end of its answer. At most ten histograms for a route.",
		[]string{"name", "method"}, nil)
	descDropped = prometheus.NewDesc("gateway_log_dropped_total",
		"Log lines lost because nobody took them. One series.", nil, nil)
	descPanics = prometheus.NewDesc("gateway_panics_total",
		"Requests that ended in a panic of the gateway. One series.", nil, nil)
	descSourceAge = prometheus.NewDesc("gateway_source_age_seconds",
		"Seconds since the origin of a source confirmed what is in use. At most one series for each remote source, none before the first time.",
		[]string{"source"}, nil)
	descSourceStale = prometheus.NewDesc("gateway_source_stale",
		"Whether the origin of a source failed, or has not been reached yet, so that what is in use may be old. One series for each remote source.",
		[]string{"source"}, nil)
)

// SourceState is how fresh the content of a remote source is.
type SourceState struct {
	Name string
	// Confirmed is zero when the origin never did.
	Confirmed time.Time
	Stale     bool
}

// buckets are the upper bounds of the duration histogram, in seconds.
var buckets = [...]float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// methods are the values of the method label; the last one stands for all others.
var methods = [...]string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
	http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace, "OTHER",
}

// Metrics holds the numbers of the gateway. It is safe for concurrent use.
type Metrics struct {
	started             time.Time
	routes, middlewares atomic.Int64
	// Dropped and Panics, where set, give numbers that others count.
	Dropped, Panics func() uint64
	// Sources, where set, tells about the remote sources.
	Sources func() []SourceState
	// Counters are the numbers of parts that come and go, such as middlewares.
	Counters *counter.Set

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

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descUptime, descRoutes, descMiddlewares, descRequests, descStatus, descDuration, descDropped, descPanics,
		descSourceAge, descSourceStale,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64) { out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	gauge(descUptime, time.Since(m.started).Seconds())
	gauge(descRoutes, float64(m.routes.Load()))
	gauge(descMiddlewares, float64(m.middlewares.Load()))
	for desc, count := range map[*prometheus.Desc]func() uint64{descDropped: m.Dropped, descPanics: m.Panics} {
		if count != nil {
			out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(count()))
		}
	}
	m.collectSources(out)
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

// RouteMeter counts the requests of one route.
type RouteMeter struct {
	name    string
	owner   *Metrics
	methods [len(methods)]atomic.Pointer[methodMeter]
}

// methodMeter counts the requests of one method.
type methodMeter struct {
	// took counts by bucket; the last is for what took longer than all.
	took  [len(buckets) + 1]atomic.Uint64
	nanos atomic.Int64
	// status holds the hundred codes of each class that was seen.
	status [6]atomic.Pointer[[100]atomic.Uint64]
}

// Observe implements exchange.Meter.
func (m *RouteMeter) Observe(method string, status int, took time.Duration) {
	slot := &m.methods[methodIndex(method)]
	c := slot.Load()
	if c == nil {
		slot.CompareAndSwap(nil, new(methodMeter))
		c = slot.Load()
	}
	seconds, i := took.Seconds(), 0
	for i < len(buckets) && seconds > buckets[i] {
		i++
	}
	c.took[i].Add(1)
	c.nanos.Add(int64(took))
	if status < 0 || status >= 600 {
		status = 0
	}
	class := &c.status[status/100]
	codes := class.Load()
	if codes == nil {
		class.CompareAndSwap(nil, new([100]atomic.Uint64))
		codes = class.Load()
	}
	codes[status%100].Add(1)
}

// Close takes the series of the route away.
func (m *RouteMeter) Close() {
	m.owner.mu.Lock()
	defer m.owner.mu.Unlock()
	if m.owner.meters[m.name] == m {
		delete(m.owner.meters, m.name)
	}
}

func methodIndex(method string) int {
	for i, m := range methods {
		if m == method {
			return i
		}
	}
	return len(methods) - 1
}

func (m *RouteMeter) collect(out chan<- prometheus.Metric) {
	for i := range methods {
		c := m.methods[i].Load()
		if c == nil {
			continue
		}
		cumulative, total := map[float64]uint64{}, uint64(0)
		for b := range c.took {
			total += c.took[b].Load()
			if b < len(buckets) {
				cumulative[buckets[b]] = total
			}
		}
		seconds := time.Duration(c.nanos.Load()).Seconds()
		out <- prometheus.MustNewConstMetric(descRequests, prometheus.CounterValue, float64(total), m.name, methods[i])
		out <- prometheus.MustNewConstHistogram(descDuration, total, seconds, cumulative, m.name, methods[i])
		for class := range c.status {
			codes := c.status[class].Load()
			if codes == nil {
				continue
			}
			for code := range codes {
				if n := codes[code].Load(); n > 0 {
					out <- prometheus.MustNewConstMetric(descStatus, prometheus.CounterValue, float64(n),
						strconv.Itoa(100*class+code), m.name, methods[i])
				}
			}
		}
	}
}
