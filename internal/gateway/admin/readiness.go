// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"slices"
	"strings"
	"sync"
)

// Readiness tells whether traffic should come here: once everything that was
// waited for has arrived, until the gateway drains. It is safe for concurrent use.
type Readiness struct {
	ready chan struct{}

	mu       sync.Mutex
	waiting  []string
	draining bool
}

// NewReadiness waits for the named things.
func NewReadiness(waitFor ...string) *Readiness {
	r := &Readiness{ready: make(chan struct{}), waiting: slices.Clone(waitFor)}
	if len(waitFor) == 0 {
		close(r.ready)
	}
	return r
}

// Arrived takes a thing off the list. It may be called again.
func (r *Readiness) Arrived(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := len(r.waiting)
	r.waiting = slices.DeleteFunc(r.waiting, func(n string) bool { return n == name })
	if before > 0 && len(r.waiting) == 0 {
		close(r.ready)
	}
}

// Drain ends readiness for good.
func (r *Readiness) Drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.draining = true
}

// Ready is closed when everything has arrived.
func (r *Readiness) Ready() <-chan struct{} { return r.ready }

// State gives running, starting or draining, and why it is not running.
func (r *Readiness) State() (state, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.draining:
		return "draining", "the gateway is shutting down"
	case len(r.waiting) > 0:
		return "starting", "waiting for " + strings.Join(r.waiting, ", ")
	}
	return "running", ""
}
