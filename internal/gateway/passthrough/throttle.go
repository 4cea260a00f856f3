// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package passthrough

import (
	"sync"
	"time"
)

// everySoOften is how long a throttle keeps silent.
const everySoOften = 10 * time.Second

// throttle keeps clients from filling the log. The zero value speaks at once.
type throttle struct {
	mu sync.Mutex

	last time.Time
	held int
}

// say gives how many times something has happened since it was last said, or 0
// when it is too early to say it again.
func (t *throttle) say() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held++
	now := time.Now()
	if !t.last.IsZero() && now.Sub(t.last) < everySoOften {
		return 0
	}
	n := t.held
	t.last, t.held = now, 0
	return n
}
