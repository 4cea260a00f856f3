// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package geoblock

import (
	"sync"

	"gateway.jkaninda.dev/goma/internal/gateway/counter"
)

var metricDenied = &counter.Kind{
	Name:   "gateway_geoblock_denied_total",
	Help:   "Requests refused for their country. One series for each middleware and country that was refused, some 250 at most.",
	Labels: []string{"name", "country"},
}

const unknownCountry = "unknown"

// denialsKey names the counts of a middleware in the pool, where they outlive
// reloads.
type denialsKey struct{ middleware string }

// denials counts what a middleware refuses on all routes. The countries come from
// the database, so they are bounded.
type denials struct {
	set  *counter.Set
	name string

	mu        sync.Mutex
	byCountry map[string]*counter.Value
	release   []func()
}

func newDenials(set *counter.Set, name string) *denials {
	return &denials{set: set, name: name, byCountry: map[string]*counter.Value{}}
}

func (d *denials) count(country string) {
	if country == "" {
		country = unknownCountry
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.byCountry[country]
	if v == nil {
		var release func()
		v, release = d.set.Get(metricDenied, d.name, country)
		d.byCountry[country] = v
		d.release = append(d.release, release)
	}
	v.Add()
}

// Close ends the series.
func (d *denials) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, release := range d.release {
		release()
	}
}
