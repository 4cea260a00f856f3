// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"sync"
	"time"
)

// most is how many names are remembered; of more, any are forgotten.
const most = 10_000

// Seen is a set of names that are remembered for a while: logins that were used,
// sessions that have ended. The zero value is empty. It is safe for concurrent use.
type Seen struct {
	mu sync.Mutex

	until map[string]time.Time
}

// Add puts a name into the set for so long, and tells whether it is new there.
func (s *Seen) Add(name string, lasts time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if until, ok := s.until[name]; ok && now.Before(until) {
		return false
	}
	if s.until == nil {
		s.until = map[string]time.Time{}
	}
	if len(s.until) >= most {
		s.makeRoom(now)
	}
	s.until[name] = now.Add(lasts)
	return true
}

// makeRoom forgets what has passed, and so many others that it is not called for
// each new name.
func (s *Seen) makeRoom(now time.Time) {
	for name, until := range s.until {
		if now.After(until) {
			delete(s.until, name)
		}
	}
	for name := range s.until {
		if len(s.until) <= most/2 {
			return
		}
		delete(s.until, name)
	}
}

// Has tells whether the name is in the set.
func (s *Seen) Has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, ok := s.until[name]
	return ok && time.Now().Before(until)
}
