// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"gateway.jkaninda.dev/goma/internal/gateway/counter"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

var (
	metricRequests = &counter.Kind{
		Name: "gateway_cache_requests_total", Labels: []string{"name", "middleware", "result"},
		Help: "Requests that came to a cache, by how it served them: hit, stale, collapsed, revalidated, miss, bypass or refused. Seven series for each cache of a route.",
	}
	metricInvalidated = &counter.Kind{
		Name: "gateway_cache_invalidations_total", Labels: []string{"name", "middleware"},
		Help: "Requests that changed something, and after which a cache forgot answers. One series for each cache of a route.",
	}
	metricBytes = &counter.Kind{
		Name: "gateway_cache_bytes", Labels: []string{"middleware"}, Gauge: true,
		Help: "Memory that stored answers take. One series for each middleware.",
	}
	metricEvicted = &counter.Kind{
		Name: "gateway_cache_evictions_total", Labels: []string{"middleware"},
		Help: "Keys that were forgotten because the memory was full. One series for each middleware.",
	}
)

// result is how a request was served.
type result int

const (
	hit result = iota
	stale
	collapsed
	revalidated
	miss
	bypass
	refused
	results
)

// names are those of results: in metrics, and in the header.
var names = [results]struct{ label, header string }{
	hit: {"hit", "HIT"}, stale: {"stale", "STALE"}, collapsed: {"collapsed", "HIT"}, revalidated: {"revalidated", "REVALIDATED"},
	miss: {"miss", "MISS"}, bypass: {"bypass", "BYPASS"}, refused: {"refused", "MISS"},
}

// headers are the values of X-Cache-Status; nobody changes them.
var headers = func() (list [results][]string) {
	for i, name := range names {
		list[i] = []string{name.header}
	}
	return list
}()

// counts are the numbers of one cache of a route.
type counts struct {
	results     [results]*counter.Value
	invalidated *counter.Value
}

func newCounts(b definition.Build) *counts {
	c := &counts{}
	get := func(k *counter.Kind, labels ...string) *counter.Value {
		v, release := b.Counters.Get(k, labels...)
		b.Track(release)
		return v
	}
	for i, name := range names {
		c.results[i] = get(metricRequests, b.Route.Name, b.Name, name.label)
	}
	c.invalidated = get(metricInvalidated, b.Route.Name, b.Name)
	return c
}
