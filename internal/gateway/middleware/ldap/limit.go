// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package ldap

import (
	"net/netip"
	"sync"
	"time"
)

// limit is how many attempts a client gets back in a time, and how many it may make
// at once.
type limit struct {
	size, burst int
	ttl         time.Duration
}

// most clients are counted; of more, those that have been quiet are forgotten.
const most = 10_000

// attempts counts those of each client: a bucket that fills at a steady rate. It is
// safe for concurrent use.
type attempts struct {
	limit

	mu sync.Mutex

	buckets map[netip.Addr]bucket
}

type bucket struct {
	left float64
	at   time.Time
}

func newAttempts(l limit) *attempts {
	return &attempts{limit: l, buckets: map[netip.Addr]bucket{}}
}

// take counts one attempt, and tells whether it may be made.
func (a *attempts) take(client netip.Addr) bool {
	client = network(client)
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	b, known := a.buckets[client]
	if !known {
		a.makeRoom(now)
		b = bucket{float64(a.burst), now}
	}
	b = a.fill(b, now)
	if b.left < 1 {
		a.buckets[client] = b
		return false
	}
	b.left--
	a.buckets[client] = b
	return true
}

func (a *attempts) fill(b bucket, now time.Time) bucket {
	back := now.Sub(b.at).Seconds() / a.ttl.Seconds() * float64(a.size)
	return bucket{min(float64(a.burst), b.left+back), now}
}

// makeRoom forgets the clients whose bucket is full again, and so many others that
// it is not called for each new one.
func (a *attempts) makeRoom(now time.Time) {
	if len(a.buckets) < most {
		return
	}
	for client, b := range a.buckets {
		if a.fill(b, now).left >= float64(a.burst) {
			delete(a.buckets, client)
		}
	}
	for client := range a.buckets {
		if len(a.buckets) <= most/2 {
			return
		}
		delete(a.buckets, client)
	}
}

// network is what one client has: an address, or a /64 of IPv6. M21
func network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}
