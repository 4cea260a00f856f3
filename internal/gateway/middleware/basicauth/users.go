// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package basicauth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"runtime"
	"sync"
	"time"
)

// How long, and how many, good credentials are remembered.
const (
	rememberFor = 60 * time.Second
	remembered  = 1024
)

// users verifies names and passwords. It is safe for concurrent use.
type users struct {
	known map[string]verifier
	// nobody is the password that takes longest. It stands in for users that do
	// not exist, and is computed beside those that are quick, so that the time
	// does not tell who exists.
	nobody verifier
	// slots bounds how many hashes are computed at once.
	slots chan struct{}
	key   [32]byte

	mu sync.Mutex

	good map[[sha256.Size]byte]time.Time
}

func newUsers(known map[string]verifier) *users {
	u := &users{known: known, slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), good: map[[sha256.Size]byte]time.Time{}}
	_, _ = rand.Read(u.key[:]) // never fails
	u.nobody = plainText("nobody")
	for _, v := range known {
		if v.work() > u.nobody.work() {
			u.nobody = v
		}
	}
	return u
}

// verify tells whether the password is that of the user.
func (u *users) verify(ctx context.Context, name, password string) bool {
	if u.nobody.work() == 0 {
		return u.compute(name, password)
	}
	id := u.digest(name, password)
	if u.recall(id) {
		return true
	}
	select {
	case u.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-u.slots }()
	if !u.compute(name, password) {
		return false
	}
	u.remember(id)
	return true
}

func (u *users) compute(name, password string) bool {
	v, exists := u.known[name]
	if !exists {
		v = u.nobody
	} else if v.work() == 0 {
		u.nobody.verify(password)
	}
	return v.verify(password) && exists
}

// digest names a credential without keeping it: its key is new with each process.
func (u *users) digest(name, password string) (id [sha256.Size]byte) {
	mac := hmac.New(sha256.New, u.key[:])
	mac.Write([]byte(name))
	mac.Write([]byte{0})
	mac.Write([]byte(password))
	mac.Sum(id[:0])
	return id
}

func (u *users) recall(id [sha256.Size]byte) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	until, ok := u.good[id]
	return ok && time.Now().Before(until)
}

// remember makes room by forgetting what is oldest, or anything.
func (u *users) remember(id [sha256.Size]byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	if len(u.good) >= remembered {
		for other, until := range u.good {
			if now.After(until) {
				delete(u.good, other)
			}
		}
		for other := range u.good {
			if len(u.good) < remembered {
				break
			}
			delete(u.good, other)
		}
	}
	u.good[id] = now.Add(rememberFor)
}
