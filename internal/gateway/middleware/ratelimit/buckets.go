// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"container/list"
	"hash/maphash"
	"math"
	"net/http"
	"sync"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/client"
)

// How many buckets there are at most, and in how many parts, each with a lock of
// its own.
const (
	shards       = 16
	mostPerShard = 8192
)

// buckets are the state of one limit. It is safe for concurrent use.
type buckets struct {
	capacity float64
	perNano  float64
	banAfter int
	ban      time.Duration
	// full is how long an empty bucket takes to fill: one that rests longer
	// might as well not be there.
	full time.Duration
	now  func() time.Time
	seed maphash.Seed

	shard [shards]shard
}

type shard struct {
	mu sync.Mutex

	byKey  map[client.Key]*list.Element
	recent list.List // of *bucket, the latest first
}

// bucket is one client.
type bucket struct {
	key     client.Key
	tokens  float64
	at      time.Time
	refused int
	banned  time.Time // until when
}

// verdict is what happens to a request.
type verdict struct {
	admitted, banned bool
	// unknown says that nobody could count the request.
	unknown bool
	// wait is how long until the client is served again.
	wait time.Duration
}

func newBuckets(s Settings, now func() time.Time) *buckets {
	unit := units[s.Unit]
	b := &buckets{
		capacity: float64(s.RequestsPerUnit + s.Burst), perNano: float64(s.RequestsPerUnit) / float64(unit),
		banAfter: s.BanAfter, ban: s.BanDuration.Std(), now: now, seed: maphash.MakeSeed(),
	}
	b.full = time.Duration(min(b.capacity/b.perNano, math.MaxInt64/2))
	for i := range b.shard {
		b.shard[i].byKey = map[client.Key]*list.Element{}
	}
	return b
}

// take takes one token from the client's bucket.
func (b *buckets) take(_ *http.Request, key client.Key) verdict {
	s := &b.shard[maphash.Comparable(b.seed, key)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	now := b.now()
	c := s.get(key, b, now)
	if now.Before(c.banned) {
		return verdict{banned: true, wait: c.banned.Sub(now)}
	}
	b.refill(c, now)
	if c.tokens >= 1 {
		c.tokens--
		return verdict{admitted: true}
	}
	return b.refuse(c, now)
}

func (b *buckets) refill(c *bucket, now time.Time) {
	if elapsed := now.Sub(c.at); elapsed > 0 {
		c.tokens = min(b.capacity, c.tokens+float64(elapsed)*b.perNano)
		c.at = now
	}
	if c.tokens >= b.capacity {
		c.refused = 0
	}
}

func (b *buckets) refuse(c *bucket, now time.Time) verdict {
	c.refused++
	if b.banAfter > 0 && c.refused >= b.banAfter {
		c.refused, c.banned = 0, now.Add(b.ban)
		return verdict{banned: true, wait: b.ban}
	}
	return verdict{wait: time.Duration((1 - c.tokens) / b.perNano)}
}

// get finds the bucket of a client, or makes a full one.
func (s *shard) get(key client.Key, b *buckets, now time.Time) *bucket {
	if e, ok := s.byKey[key]; ok {
		s.recent.MoveToFront(e)
		return e.Value.(*bucket)
	}
	s.forget(b, now)
	c := &bucket{key: key, tokens: b.capacity, at: now}
	s.byKey[key] = s.recent.PushFront(c)
	return c
}

// forget makes room: for what is new a few that rest have to go, and when there is
// no room at all the one that was seen least recently.
func (s *shard) forget(b *buckets, now time.Time) {
	for range 2 {
		last := s.recent.Back()
		if last == nil {
			return
		}
		c := last.Value.(*bucket)
		resting := now.Sub(c.at) > b.full && now.After(c.banned)
		if !resting && s.recent.Len() < mostPerShard {
			return
		}
		s.recent.Remove(last)
		delete(s.byKey, c.key)
	}
}
