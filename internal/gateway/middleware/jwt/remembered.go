// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

// How long, and how many, good tokens are remembered. Each token counts as much as it
// is long.
const (
	rememberFor        = time.Minute
	shards             = 16
	mostBytesPerShard  = 128 << 10
	keyBytes           = 32
	usualTokenBytes    = 2048
	roomForUsualTokens = keyBytes + usualTokenBytes
)

// tokenID names a token without holding it: it is worthless outside of remembered.
type tokenID struct {
	digest [sha256.Size]byte
	bytes  int
}

// remembered are tokens that were good a moment ago: for a minute, but not beyond
// their end, nor after the keys have changed. Their number is bounded. It is safe
// for concurrent use; make it with newRemembered.
type remembered struct {
	key    [keyBytes]byte
	shards [shards]shard
}

// shard forgets by halves: when recent is full, it becomes before, and what was
// before is forgotten.
type shard struct {
	mu sync.Mutex

	recent, before map[tokenID]*identity
	bytes          int // of recent
}

func newRemembered() *remembered {
	g := &remembered{}
	_, _ = rand.Read(g.key[:]) // never fails
	return g
}

// identify gives the ID of a token.
func (g *remembered) identify(token string) tokenID {
	var space [roomForUsualTokens]byte
	text := append(space[:0], g.key[:]...)
	return tokenID{sha256.Sum256(append(text, token...)), len(token)}
}

// get gives who bears a token that was good with these keys; nil when that is not known.
func (g *remembered) get(id tokenID, set *keySet) *identity {
	s := &g.shards[id.digest[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	who, ok := s.recent[id]
	if !ok {
		if who, ok = s.before[id]; !ok {
			return nil
		}
	}
	if who.set != set || !time.Now().Before(who.until) {
		delete(s.recent, id)
		delete(s.before, id)
		return nil
	}
	return who
}

// add remembers a good token.
func (g *remembered) add(id tokenID, who *identity) {
	s := &g.shards[id.digest[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recent == nil || s.bytes+id.bytes > mostBytesPerShard {
		s.recent, s.before, s.bytes = map[tokenID]*identity{}, s.recent, 0
	}
	if _, known := s.recent[id]; !known {
		s.bytes += id.bytes
	}
	s.recent[id] = who
}

// len counts what is remembered.
func (g *remembered) len() (n int) {
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.Lock()
		n += len(s.recent) + len(s.before)
		s.mu.Unlock()
	}
	return n
}
