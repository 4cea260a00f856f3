// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package waf

import (
	"strconv"
	"sync"

	"gateway.jkaninda.dev/goma/internal/gateway/counter"
)

var (
	metricMatches = &counter.Kind{
		Name: "gateway_waf_rule_matches_total", Labels: []string{"name", "rule"},
		Help: "Requests in which a rule of the firewall found something, refused or not. One series for each middleware and rule that did, some 300 at most.",
	}
	metricRefused = &counter.Kind{
		Name: "gateway_waf_refused_total", Labels: []string{"name"},
		Help: "Requests that the firewall refused. One series for each middleware.",
	}
)

// matchesKey names the counts of a middleware in the pool, where they outlive
// reloads.
type matchesKey struct{ middleware string }

// matches counts what a middleware finds on all routes. The rules are those of the
// rule set, so they are bounded.
type matches struct {
	set     *counter.Set
	name    string
	refused *counter.Value

	mu      sync.Mutex
	byRule  map[int]*counter.Value
	release []func()
}

func newMatches(set *counter.Set, name string) *matches {
	refused, release := set.Get(metricRefused, name)
	return &matches{set: set, name: name, refused: refused, byRule: map[int]*counter.Value{}, release: []func(){release}}
}

func (m *matches) count(rule int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.byRule[rule]
	if v == nil {
		var release func()
		v, release = m.set.Get(metricMatches, m.name, strconv.Itoa(rule))
		m.byRule[rule] = v
		m.release = append(m.release, release)
	}
	v.Add()
}

// Close ends the series.
func (m *matches) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, release := range m.release {
		release()
	}
}
