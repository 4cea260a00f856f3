// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"maps"
	"sync"

	"gateway.jkaninda.dev/goma/internal/gateway/source"
)

// mailbox is what waits for the loop. Of several updates of one source only the
// newest is kept. It is safe for concurrent use.
type mailbox struct {
	wake chan struct{}

	mu    sync.Mutex
	batch batch
}

// batch is one step of the loop.
type batch struct {
	// updates are by position of the source.
	updates map[int]source.Update
	// main says that the main file may have changed, files that a certificate or
	// another file of the Snapshot has.
	main, files bool
	// callers want to know the result.
	callers []chan<- outcome
}

// outcome is what a caller of reload is told.
type outcome struct {
	routes int
	err    error
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

// put adds to what waits.
func (m *mailbox) put(add func(*batch)) {
	m.mu.Lock()
	add(&m.batch)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// update keeps the newest word of a source. Problems alone leave a Bundle that
// nobody has taken yet in place.
func (m *mailbox) update(index int, u source.Update) {
	m.put(func(b *batch) {
		if b.updates == nil {
			b.updates = map[int]source.Update{}
		}
		if before, ok := b.updates[index]; ok && u.Bundle == nil {
			u.Bundle, u.Generation, u.Checksum = before.Bundle, before.Generation, before.Checksum
		}
		b.updates[index] = u
	})
}

// take empties the mailbox.
func (m *mailbox) take() batch {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.batch
	b.updates = maps.Clone(b.updates)
	m.batch = batch{}
	return b
}
