// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"context"
	"slices"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
)

// Editors write a file in several steps. What comes within quiet of each other is
// one edit, unless it goes on for longer than patience.
const (
	quiet    = 30 * time.Millisecond
	patience = 500 * time.Millisecond
)

// follow takes over changes of the manifests until the context ends.
func (r *runner) follow(ctx context.Context) {
	w := source.NewWatcher()
	defer w.Close()
	for {
		// Something may have changed before it was watched.
		if !r.watch(w) {
			select {
			case <-ctx.Done():
				return
			case <-w.Changed():
				settle(ctx, w)
			}
		}
		if ctx.Err() != nil {
			return
		}
		r.reload()
	}
}

// watch tells the watcher where to look now, and reports whether that is new.
func (r *runner) watch(w *source.Watcher) (added bool) {
	paths := directoriesOf(r.o.Paths)
	files, err := manifestFiles(r.o.Paths)
	if err == nil {
		paths = append(paths, slices.DeleteFunc(files, func(f string) bool { return f == Stdin })...)
	}
	return w.Watch(paths)
}

// settle waits for the end of an edit.
func settle(ctx context.Context, w *source.Watcher) {
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		pause := time.NewTimer(quiet)
		select {
		case <-w.Changed():
			pause.Stop()
			continue
		case <-pause.C:
		case <-end.C:
		case <-ctx.Done():
		}
		pause.Stop()
		return
	}
}

// reload reads the manifests and publishes what has become of them. When nothing
// can be read, or there is nothing to run, all stays as it is and the reason is
// published. What is equal to what is served costs nothing further on.
func (r *runner) reload() {
	o, problems, err := r.loader.Load()
	if err == nil {
		var update source.Update
		if update, err = r.update(o, problems); err == nil {
			r.memory.Publish(update)
			return
		}
	}
	r.memory.Publish(source.Update{Problems: fromManifests(append(problems, config.Problem{
		Reason: config.ReasonUnreadable, Message: err.Error() + "; what was served before stays in use",
	}))})
}
