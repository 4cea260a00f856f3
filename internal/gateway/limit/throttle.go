// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"sync"
	"time"
)

// everySoOften is how long a Throttle keeps silent.
const everySoOften = 10 * time.Second

// Throttle keeps clients from filling the log. The zero value speaks at once.
type Throttle struct {
	mu sync.Mutex

	last time.Time
	held int
}

// Say gives how many times something has happened since it was last said, or 0
// when it is too early to say it again.
func (t *Throttle) Say() int {
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
