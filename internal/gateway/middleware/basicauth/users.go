// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package basicauth

import (
	"context"
	"runtime"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/credentials"
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
	good  *credentials.Cache
}

func newUsers(known map[string]verifier) *users {
	u := &users{known: known, slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), good: credentials.NewCache()}
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
	id := u.good.Identify(name, password)
	if u.good.Has(id) {
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
	u.good.Add(id)
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
