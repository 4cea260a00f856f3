// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"sync"
	"sync/atomic"
)

// lifetime holds resources until their owner has been retired and the last user
// has left, whichever is later.
type lifetime struct {
	users   atomic.Int64
	retired atomic.Bool
	once    sync.Once

	releases []func() // set while compiling, before anybody enters
}

// hold adds something to let go of at the end.
func (l *lifetime) hold(release func()) { l.releases = append(l.releases, release) }

// enter tells whether the resources may be used; each true is paired with leave.
func (l *lifetime) enter() bool {
	l.users.Add(1)
	// The order matters: whoever retires looks at users after it has set
	// retired, so one of both sees the other.
	if l.retired.Load() {
		l.leave()
		return false
	}
	return true
}

func (l *lifetime) leave() {
	if l.users.Add(-1) == 0 && l.retired.Load() {
		l.release()
	}
}

// retire lets nobody in any more.
func (l *lifetime) retire() {
	l.retired.Store(true)
	if l.users.Load() == 0 {
		l.release()
	}
}

func (l *lifetime) release() {
	l.once.Do(func() {
		for i := len(l.releases) - 1; i >= 0; i-- {
			l.releases[i]()
		}
	})
}
