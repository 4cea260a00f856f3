// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package counter holds the numbers of parts of the gateway that come and go with
// the configuration: middlewares and stores. A part gets its counters when it is
// compiled and gives them back when it leaves; then their series end.
//
// To count is one atomic addition: nothing is looked up or formatted per request.
package counter

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Kind is one metric.
type Kind struct {
	// Name is that of the metric, Help a sentence on what it tells and how many
	// series it can have.
	Name, Help string
	// Labels are the names of its labels.
	Labels []string
	// Gauge marks numbers that also go down.
	Gauge bool
}

// Value is one series. It is safe for concurrent use.
type Value struct {
	n atomic.Int64

	kind   *Kind
	labels []string
	refs   int // guarded by Set.mu
}

// Add counts one more.
func (v *Value) Add() { v.n.Add(1) }

// AddN counts n more, such as bytes; of a gauge, n may be negative.
func (v *Value) AddN(n int64) { v.n.Add(n) }

// Set gives a gauge its number.
func (v *Value) Set(n int64) { v.n.Store(n) }

// Load is the number.
func (v *Value) Load() int64 { return v.n.Load() }

// Set is all series. A nil Set counts where nobody looks.
type Set struct {
	mu     sync.Mutex
	values map[seriesKey]*Value
}

// seriesKey names a series. Label values are joined by a byte that no label has.
type seriesKey struct{ name, labels string }

// New gives an empty set.
func New() *Set { return &Set{values: map[seriesKey]*Value{}} }

// Get gives the series of a kind with these label values, in the order of its
// labels. Users of the same series share it. The last release ends it; further
// calls of release do nothing. The values must come from the configuration or
// from another bounded set, never from clients.
func (s *Set) Get(k *Kind, labels ...string) (v *Value, release func()) {
	if s == nil {
		return &Value{kind: k}, func() {}
	}
	key := seriesKey{k.Name, strings.Join(labels, "\xff")}
	s.mu.Lock()
	defer s.mu.Unlock()
	v = s.values[key]
	if v == nil {
		v = &Value{kind: k, labels: slices.Clone(labels)}
		s.values[key] = v
	}
	v.refs++
	return v, sync.OnceFunc(func() { s.drop(key, v) })
}

func (s *Set) drop(key seriesKey, v *Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.refs--; v.refs == 0 {
		delete(s.values, key)
	}
}

// Describe implements prometheus.Collector. It tells of nothing in advance, since
// the metrics depend on the configuration.
func (s *Set) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (s *Set) Collect(out chan<- prometheus.Metric) {
	s.mu.Lock()
	values := make([]*Value, 0, len(s.values))
	for _, v := range s.values {
		values = append(values, v)
	}
	s.mu.Unlock()
	for _, v := range values {
		kind := prometheus.CounterValue
		if v.kind.Gauge {
			kind = prometheus.GaugeValue
		}
		desc := prometheus.NewDesc(v.kind.Name, v.kind.Help, v.kind.Labels, nil)
		out <- prometheus.MustNewConstMetric(desc, kind, float64(v.Load()), v.labels...)
	}
}
