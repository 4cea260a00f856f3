// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// pollSeldom is for what events may miss: network file systems, a queue
	// that overflowed, a directory that came and went in between.
	pollSeldom = 10 * time.Second
	// pollOften is for when the system gives no events at all.
	pollOften = time.Second
	// maxLinks bounds the symbolic links on the way to one path.
	maxLinks = 40
)

// Watcher tells that what some paths name may have changed. It promises too many
// signals rather than too few, so its user looks at what there is and compares.
//
// A path may be missing, be a symbolic link, or lead through links that are
// swapped, as the volumes of Kubernetes do.
type Watcher struct {
	events  *fsnotify.Watcher // nil when the system has none to give
	changed chan struct{}
	stop    chan struct{}
	stopped sync.WaitGroup

	mu      sync.Mutex
	watched map[string]bool // directory → an event source exists
	blind   bool
}

// NewWatcher watches nothing yet.
func NewWatcher() *Watcher {
	w := &Watcher{changed: make(chan struct{}, 1), stop: make(chan struct{}), watched: map[string]bool{}}
	events, err := fsnotify.NewWatcher()
	if err == nil {
		w.events = events
	}
	w.blind = err != nil
	w.stopped.Go(w.run)
	return w
}

// Changed receives after something may have changed. Signals that nobody has
// taken yet become one.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Watch sets the paths to watch, and reports whether directories were added, in
// which case something may have changed before they were. It is called again
// after each signal, because links and directories may lead elsewhere by then.
func (w *Watcher) Watch(paths []string) (added bool) {
	want := map[string]bool{}
	for _, p := range paths {
		addDirectories(want, p)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.events == nil {
		return false
	}
	have := map[string]bool{}
	for _, d := range w.events.WatchList() {
		have[d] = true
		if !want[d] {
			_ = w.events.Remove(d)
		}
	}
	w.blind = false
	for d := range want {
		if have[d] {
			continue
		}
		if err := w.events.Add(d); err != nil {
			// Most often the system's limit of watches. Polling takes over.
			w.blind = true
			continue
		}
		added = true
	}
	return added
}

// Close ends the watching.
func (w *Watcher) Close() {
	close(w.stop)
	if w.events != nil {
		_ = w.events.Close()
	}
	w.stopped.Wait()
}

func (w *Watcher) run() {
	var events chan fsnotify.Event
	var failures chan error
	if w.events != nil {
		events, failures = w.events.Events, w.events.Errors
	}
	timer := time.NewTimer(w.interval())
	defer timer.Stop()
	for {
		select {
		case <-w.stop:
			return
		case e, ok := <-events:
			if !ok {
				return
			}
			if e.Op == fsnotify.Chmod {
				// Reading a file may touch it; a real change of rights is
				// found by the next poll.
				continue
			}
		case <-failures: //nolint:errcheck // what failed is found by looking
		case <-timer.C:
			timer.Reset(w.interval())
		}
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
}

func (w *Watcher) interval() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.blind {
		return pollOften
	}
	return pollSeldom
}

// addDirectories adds the directories whose events tell of every change of what
// path names: that of each symbolic link on the way, the last directory, and
// path itself if it is one. Of a missing path it is the nearest that exists.
func addDirectories(set map[string]bool, path string) {
	path, err := filepath.Abs(path)
	if err != nil {
		return
	}
	at, rest := "/", strings.Split(strings.Trim(path, "/"), "/")
	for links := 0; len(rest) > 0; {
		name := rest[0]
		if name == "" || name == "." {
			rest = rest[1:]
			continue
		}
		if name == ".." {
			at, rest = filepath.Dir(at), rest[1:]
			continue
		}
		next := filepath.Join(at, name)
		info, err := os.Lstat(next)
		if err != nil {
			set[at] = true
			return
		}
		rest = rest[1:]
		switch {
		case info.Mode()&os.ModeSymlink != 0:
			set[at] = true
			target, err := os.Readlink(next)
			if links++; err != nil || links > maxLinks {
				return
			}
			if filepath.IsAbs(target) {
				at = "/"
			}
			rest = append(strings.Split(strings.Trim(target, "/"), "/"), rest...)
		case info.IsDir():
			if len(rest) == 0 {
				// The directory above tells when this one is replaced.
				set[at], set[next] = true, true
				return
			}
			at = next
		default:
			set[at] = true
			return
		}
	}
	set[at] = true
}
