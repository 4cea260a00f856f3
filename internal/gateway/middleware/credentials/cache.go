// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// How long, and how many, good credentials are remembered.
const (
	rememberFor = 60 * time.Second
	remembered  = 1024
)

// ID names a credential without holding it: it is worthless outside its Cache.
type ID [sha256.Size]byte

// Cache remembers credentials that were good a moment ago, for a minute each, and
// a thousand at most. It is safe for concurrent use; make one with NewCache.
type Cache struct {
	key [32]byte

	mu sync.Mutex

	good map[ID]time.Time
}

// NewCache gives an empty cache, with a key of its own.
func NewCache() *Cache {
	c := &Cache{good: map[ID]time.Time{}}
	_, _ = rand.Read(c.key[:]) // never fails
	return c
}

// usual is how long a key, a name and a password are together, with room to spare.
const usual = 256

// Identify gives the ID of a credential.
func (c *Cache) Identify(name, password string) ID {
	var space [usual]byte
	text := append(space[:0], c.key[:]...)
	// With its length in front, no name can end in the beginning of a password.
	text = binary.BigEndian.AppendUint64(text, uint64(len(name)))
	text = append(append(text, name...), password...)
	return sha256.Sum256(text)
}

// Has tells whether the credential was good a moment ago.
func (c *Cache) Has(id ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	until, ok := c.good[id]
	return ok && time.Now().Before(until)
}

// Add remembers a good credential. It makes room by forgetting what is oldest, or
// anything.
func (c *Cache) Add(id ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if len(c.good) >= remembered {
		for other, until := range c.good {
			if now.After(until) {
				delete(c.good, other)
			}
		}
		for other := range c.good {
			if len(c.good) < remembered {
				break
			}
			delete(c.good, other)
		}
	}
	c.good[id] = now.Add(rememberFor)
}

// Len counts what is remembered.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.good)
}
