// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package inflightlimit

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/client"
)

// shards are the parts of the clients, each with a lock of its own.
const shards = 16

// counts are the requests under way. It is safe for concurrent use; a client is in it
// only while it has a request.
type counts struct {
	total atomic.Int64
	seed  maphash.Seed

	shards [shards]shard
}

type shard struct {
	mu sync.Mutex

	byClient map[client.Key]int
}

func newCounts() *counts {
	c := &counts{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].byClient = map[client.Key]int{}
	}
	return c
}

// enter counts a request, unless there are as many as there may be; 0 is any number.
func (c *counts) enter(most int) bool {
	for {
		n := c.total.Load()
		if most > 0 && n >= int64(most) {
			return false
		}
		if c.total.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (c *counts) leave() { c.total.Add(-1) }

// enterClient is enter for the requests of one client.
func (c *counts) enterClient(who client.Key, most int) bool {
	s := c.shardOf(who)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.byClient[who]
	if most > 0 && n >= most {
		return false
	}
	s.byClient[who] = n + 1
	return true
}

func (c *counts) leaveClient(who client.Key) {
	s := c.shardOf(who)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.byClient[who]; n > 1 {
		s.byClient[who] = n - 1
		return
	}
	delete(s.byClient, who)
}

func (c *counts) shardOf(who client.Key) *shard {
	return &c.shards[maphash.Comparable(c.seed, who)%shards]
}
