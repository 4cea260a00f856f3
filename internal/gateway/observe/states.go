// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"cmp"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gateway.jkaninda.dev/goma/internal/config"
)

// ListenerState is the connections of a listener.
type ListenerState struct {
	Name                     string
	Open, Accepted, Unagreed uint64
	// Refused are those that were not served, by the reason.
	Refused map[string]uint64
	// Secure says that TLS is spoken.
	Secure bool
}

// EndpointState is the connections to an endpoint. There may be several of the same
// name, which are added up.
type EndpointState struct {
	Name                                          string
	Open, Idle, Created, Failed, Retried, Ejected uint64
}

// HealthState is the last result of an endpoint's health check.
type HealthState struct {
	Route, Endpoint string
	Healthy         bool
}

// EjectionState is whether an endpoint was taken out for failing requests.
type EjectionState struct {
	Route, Endpoint string
	Ejected         bool
}

func (m *Metrics) collectStates(to chan<- prometheus.Metric) {
	put := func(d *prometheus.Desc, kind prometheus.ValueType, n uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, float64(n), labels...)
	}
	if m.Listeners != nil {
		for _, s := range m.Listeners() {
			put(descClients, prometheus.GaugeValue, s.Open, s.Name)
			put(descAccepted, prometheus.CounterValue, s.Accepted, s.Name)
			for reason, n := range s.Refused {
				put(descRefused, prometheus.CounterValue, n, s.Name, reason)
			}
			if s.Secure {
				put(descHandshakes, prometheus.CounterValue, s.Unagreed, s.Name)
			}
		}
	}
	if m.Endpoints != nil {
		for _, s := range total(m.Endpoints()) {
			put(descOpen, prometheus.GaugeValue, s.Open, s.Name)
			put(descIdle, prometheus.GaugeValue, s.Idle, s.Name)
			put(descCreated, prometheus.CounterValue, s.Created, s.Name)
			put(descConnectErrors, prometheus.CounterValue, s.Failed, s.Name)
			put(descRetries, prometheus.CounterValue, s.Retried, s.Name)
			put(descEjections, prometheus.CounterValue, s.Ejected, s.Name)
		}
	}
	if m.Ejections != nil {
		for key, n := range out(m.Ejections()) {
			put(descEjected, prometheus.GaugeValue, n, key.Route, key.Endpoint)
		}
	}
	if m.Health != nil {
		for key, healthy := range worst(m.Health()) {
			put(descHealthy, prometheus.GaugeValue, healthy, key.Route, key.Endpoint)
		}
	}
}

// out tells of each endpoint of a route, which may list it twice, whether it is out.
func out(list []EjectionState) map[EjectionState]uint64 {
	results := map[EjectionState]uint64{}
	for _, s := range list {
		key := EjectionState{Route: s.Route, Endpoint: s.Endpoint}
		n := results[key]
		if s.Ejected {
			n = 1
		}
		results[key] = n
	}
	return results
}

// total adds up what has the same name.
func total(list []EndpointState) map[string]EndpointState {
	sums := map[string]EndpointState{}
	for _, s := range list {
		sum := sums[s.Name]
		sums[s.Name] = EndpointState{
			Name: s.Name, Open: sum.Open + s.Open, Idle: sum.Idle + s.Idle, Created: sum.Created + s.Created,
			Failed: sum.Failed + s.Failed, Retried: sum.Retried + s.Retried,
			Ejected: sum.Ejected + s.Ejected,
		}
	}
	return sums
}

// worst gives one result for each endpoint of a route, which may list it twice.
func worst(list []HealthState) map[HealthState]uint64 {
	results := map[HealthState]uint64{}
	for _, s := range list {
		key, healthy := HealthState{Route: s.Route, Endpoint: s.Endpoint}, uint64(0)
		if s.Healthy {
			healthy = 1
		}
		if before, ok := results[key]; ok {
			healthy = min(before, healthy)
		}
		results[key] = healthy
	}
	return results
}

// Applied is a configuration that went live.
type Applied struct {
	Generation uint64
	// Err is what kept a part of it from being read.
	Err      error
	Took     time.Duration
	Problems []config.Problem
	SetAside int
}

// configMeter tells of the configuration.
type configMeter struct {
	mu sync.Mutex

	last            Applied
	success         time.Time
	applies, failed uint64
	problems        map[problemKey]int
}

type problemKey struct{ severity, reason string }

// Apply tells of a configuration that went live.
func (m *Metrics) Apply(a Applied) {
	problems := map[problemKey]int{}
	for _, p := range a.Problems {
		problems[problemKey{cmp.Or(string(p.Severity), "error"), cmp.Or(string(p.Reason), "Other")}]++
	}
	c := &m.config
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.problems = a, problems
	c.last.Problems = nil
	if a.Err != nil {
		c.failed++
		return
	}
	c.applies++
	c.success = time.Now()
}

// Fail tells of a configuration that could not be applied.
func (m *Metrics) Fail() {
	m.config.mu.Lock()
	defer m.config.mu.Unlock()
	m.config.failed++
}

func (c *configMeter) collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	last, success, applies, failed, problems := c.last, c.success, c.applies, c.failed, maps.Clone(c.problems)
	c.mu.Unlock()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(descGeneration, float64(last.Generation))
	gauge(descApplyTime, last.Took.Seconds())
	gauge(descAside, float64(last.SetAside))
	if !success.IsZero() {
		gauge(descApplied, float64(success.UnixMilli())/1000)
	}
	out <- prometheus.MustNewConstMetric(descApplies, prometheus.CounterValue, float64(applies), "success")
	out <- prometheus.MustNewConstMetric(descApplies, prometheus.CounterValue, float64(failed), "failure")
	for key, n := range problems {
		gauge(descProblems, float64(n), key.severity, key.reason)
	}
}
