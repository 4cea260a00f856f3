// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"maps"
	"sync"

	"gateway.jkaninda.dev/goma/internal/gateway/source"
)

// fileWatch tells when one of some files has changed, appeared or gone.
type fileWatch struct {
	watcher *source.Watcher
	changed func()

	mu    sync.Mutex
	paths []string
	known map[string]source.Identity
}

func newFileWatch(changed func()) *fileWatch {
	return &fileWatch{watcher: source.NewWatcher(), changed: changed}
}

// set gives the files to watch. A file that is new here may have changed since it
// was read, so it counts as changed once.
func (w *fileWatch) set(paths []string) {
	w.mu.Lock()
	if w.knows(paths) {
		w.mu.Unlock()
		return
	}
	w.paths = paths
	w.watcher.Watch(paths)
	known, fresh := make(map[string]source.Identity, len(paths)), false
	for _, p := range paths {
		id, ok := w.known[p]
		if !ok {
			id, fresh = source.Identify(p), true
		}
		known[p] = id
	}
	w.known = known
	w.mu.Unlock()
	if fresh {
		w.changed()
	}
}

// knows tells that the paths are those that are watched.
func (w *fileWatch) knows(paths []string) bool {
	if w.known == nil || len(paths) != len(w.paths) {
		return false
	}
	for _, p := range paths {
		if _, ok := w.known[p]; !ok {
			return false
		}
	}
	return true
}

// run compares at every signal, until the context ends.
func (w *fileWatch) run(ctx context.Context) {
	defer w.watcher.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.watcher.Changed():
			if w.compare() {
				w.changed()
			}
		}
	}
}

// compare tells whether a file differs from what is known, and notes it.
func (w *fileWatch) compare() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	differs := false
	for {
		added := w.watcher.Watch(w.paths)
		now := make(map[string]source.Identity, len(w.paths))
		for _, p := range w.paths {
			now[p] = source.Identify(p)
		}
		differs = differs || !maps.Equal(now, w.known)
		w.known = now
		if !added {
			return differs
		}
	}
}
