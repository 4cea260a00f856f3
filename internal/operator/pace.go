// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// pace spaces repeated work on one object: the first time is at once, the next
// not before the space has passed. What comes in between is one batch.
type pace struct {
	space time.Duration
	now   func() time.Time

	mu sync.Mutex

	last map[types.NamespacedName]time.Time
}

func newPace(space time.Duration) *pace {
	return &pace{space: space, now: time.Now, last: map[types.NamespacedName]time.Time{}}
}

// wait tells how long the work has to wait; zero when it may be done now.
func (p *pace) wait(key types.NamespacedName) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, ok := p.last[key]
	if !ok {
		return 0
	}
	return max(0, p.space-p.now().Sub(last))
}

// done notes that the work was done.
func (p *pace) done(key types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last[key] = p.now()
}

// forget drops an object that is gone.
func (p *pace) forget(key types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.last, key)
}
