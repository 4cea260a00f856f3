// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// buckets are the upper bounds of the histograms, in seconds.
var buckets = [...]float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// methods are the values of the method label; the last one stands for all others.
var methods = [...]string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
	http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace, "OTHER",
}

func methodIndex(method string) int {
	for i, m := range methods {
		if m == method {
			return i
		}
	}
	return len(methods) - 1
}

// histogram counts by bucket; the last is for what is above all bounds.
type histogram struct {
	counts [len(buckets) + 1]atomic.Uint64
	nanos  atomic.Int64
}

func (h *histogram) add(d time.Duration) {
	seconds, i := d.Seconds(), 0
	for i < len(buckets) && seconds > buckets[i] {
		i++
	}
	h.counts[i].Add(1)
	h.nanos.Add(int64(d))
}

// read gives the counts as Prometheus has them.
func (h *histogram) read() (total uint64, seconds float64, cumulative map[float64]uint64) {
	cumulative = make(map[float64]uint64, len(buckets))
	for b := range h.counts {
		total += h.counts[b].Load()
		if b < len(buckets) {
			cumulative[buckets[b]] = total
		}
	}
	return total, time.Duration(h.nanos.Load()).Seconds(), cumulative
}

// RouteMeter counts the requests of one route. To count is to add to a few atomic
// numbers: nothing is looked up, nothing is formatted, and nobody waits.
type RouteMeter struct {
	name      string
	owner     *Metrics
	methods   [len(methods)]atomic.Pointer[methodMeter]
	upstream  atomic.Pointer[histogram]
	countries atomic.Pointer[countryMeter]
}

// methodMeter counts the requests of one method.
type methodMeter struct {
	took           histogram
	received, sent atomic.Int64
	// status holds the hundred codes of each class that was seen.
	status [6]atomic.Pointer[[100]atomic.Uint64]
}

// countryMeter counts by the two letters of a country's code; the first row and
// column are for the unknown one.
type countryMeter [27][27]atomic.Uint64

var _ exchange.Meter = (*RouteMeter)(nil)

// Observe implements exchange.Meter.
func (m *RouteMeter) Observe(s exchange.Sample) {
	c := lazily(&m.methods[methodIndex(s.Method)])
	c.took.add(s.Took)
	if s.Received > 0 {
		c.received.Add(s.Received)
	}
	if s.Sent > 0 {
		c.sent.Add(s.Sent)
	}
	status := s.Status
	if status < 0 || status >= 600 {
		status = 0
	}
	lazily(&c.status[status/100])[status%100].Add(1)
	if s.Upstream > 0 {
		lazily(&m.upstream).add(s.Upstream)
	}
	m.owner.visit(m, s.Client)
}

// lazily makes a value when it is first used.
func lazily[T any](p *atomic.Pointer[T]) *T {
	v := p.Load()
	if v == nil {
		p.CompareAndSwap(nil, new(T))
		v = p.Load()
	}
	return v
}

// country counts a request from a country.
func (m *RouteMeter) country(code string) {
	row, column := 0, 0
	if len(code) == 2 {
		a, b := int(code[0])-'A'+1, int(code[1])-'A'+1
		if a > 0 && a < 27 && b > 0 && b < 27 {
			row, column = a, b
		}
	}
	lazily(&m.countries)[row][column].Add(1)
}

// visit counts the client of a request.
func (m *Metrics) visit(r *RouteMeter, client netip.Addr) {
	m.visitors.add(client, time.Now())
	if find := m.countryOf.Load(); find != nil {
		r.country((*find)(client))
	}
}

// Close takes the series of the route away.
func (m *RouteMeter) Close() {
	m.owner.mu.Lock()
	defer m.owner.mu.Unlock()
	if m.owner.meters[m.name] == m {
		delete(m.owner.meters, m.name)
	}
}

func (m *RouteMeter) collect(out chan<- prometheus.Metric) {
	for i := range methods {
		if c := m.methods[i].Load(); c != nil {
			m.collectMethod(out, methods[i], c)
		}
	}
	if h := m.upstream.Load(); h != nil {
		total, seconds, cumulative := h.read()
		out <- prometheus.MustNewConstHistogram(descUpstream, total, seconds, cumulative, m.name)
	}
	m.collectCountries(out)
}

func (m *RouteMeter) collectMethod(out chan<- prometheus.Metric, method string, c *methodMeter) {
	counter := func(d *prometheus.Desc, n float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, n, labels...)
	}
	total, seconds, cumulative := c.took.read()
	for _, d := range []*prometheus.Desc{descRequests, descOldRequests} {
		counter(d, float64(total), m.name, method)
	}
	for _, d := range []*prometheus.Desc{descDuration, descOldDuration} {
		out <- prometheus.MustNewConstHistogram(d, total, seconds, cumulative, m.name, method)
	}
	counter(descReceived, float64(c.received.Load()), m.name, method)
	counter(descSent, float64(c.sent.Load()), m.name, method)
	for class := range c.status {
		codes := c.status[class].Load()
		if codes == nil {
			continue
		}
		for code := range codes {
			if n := codes[code].Load(); n > 0 {
				counter(descStatus, float64(n), strconv.Itoa(100*class+code), m.name, method)
				counter(descOldStatus, float64(n), strconv.Itoa(100*class+code), m.name, method)
			}
		}
	}
}

func (m *RouteMeter) collectCountries(out chan<- prometheus.Metric) {
	c := m.countries.Load()
	if c == nil {
		return
	}
	for a := range c {
		for b := range c[a] {
			n := c[a][b].Load()
			if n == 0 {
				continue
			}
			code := "unknown"
			if a > 0 {
				code = string([]byte{byte('A' + a - 1), byte('A' + b - 1)}) //nolint:gosec // letters
			}
			out <- prometheus.MustNewConstMetric(descCountry, prometheus.CounterValue, float64(n), m.name, code)
		}
	}
}
