// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"sync"

	"gateway.jkaninda.dev/goma/internal/config"
)

// Memory delivers what it is given. It is for whoever makes Bundles in this
// process.
type Memory struct {
	name string
	kind config.Source
	wake chan struct{}

	mu     sync.Mutex
	newest *Update
}

var _ Source = (*Memory)(nil)

// NewMemory makes a source that has nothing yet.
func NewMemory(name string, kind config.Source) *Memory {
	return &Memory{name: name, kind: kind, wake: make(chan struct{}, 1)}
}

// Publish replaces what the source delivers. It does not block and may be called
// before, during and between runs. The Bundle must not be changed afterwards.
func (m *Memory) Publish(u Update) {
	m.mu.Lock()
	if u.Bundle == nil && m.newest != nil {
		u.Bundle = m.newest.Bundle
	}
	m.newest = &u
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Name implements Source.
func (m *Memory) Name() string { return m.name }

// Kind implements Source.
func (m *Memory) Kind() config.Source { return m.kind }

// Run implements Source.
func (m *Memory) Run(ctx context.Context, publish func(Update)) error {
	for {
		m.mu.Lock()
		u := m.newest
		m.mu.Unlock()
		if u != nil {
			publish(*u)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-m.wake:
		}
	}
}
