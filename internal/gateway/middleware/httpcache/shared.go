// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/store"
)

// shared keeps entries where all replicas find them. What it has is the truth; this
// process keeps a copy only where the rule says to do with that while the store does not
// answer.
type shared struct {
	local  *local
	store  store.Store
	prefix string
}

// newShared keeps the answers of one middleware, with one rule. The names are hashed
// together, so that no two can be joined to the same text.
func newShared(l *local, in store.Store, of stateKey) *shared {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %x", of.middleware, of.rule))
	const half = sha256.Size / 2
	return &shared{local: l, store: in, prefix: "cache:" + hex.EncodeToString(sum[:half]) + ":"}
}

// name is the key of an answer. The shape of a request may be long, and may hold what
// clients send.
func (s *shared) name(k key) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q %q", k.route, k.scheme, k.host, k.path, k.query, k.shape))
	return s.prefix + hex.EncodeToString(sum[:])
}

// find implements answers.
func (s *shared) find(r *http.Request, q *question) (*resource, error) {
	known, err := s.get(r.Context(), q.key)
	if err != nil {
		switch s.local.h.onFailure {
		case failAllow:
			return nil, errAway
		case failDeny:
			return nil, errDenied
		}
		return s.local.find(r, q)
	}
	if here := s.local.h.memory.find(q.key); here.passing != nothing.passing {
		// Not to wait for an answer is this process's own affair.
		return &resource{variants: known.variants, passing: here.passing}, nil
	}
	return known, nil
}

// get gives what the store has of a key. What cannot be read is not there: it is
// overwritten with the next answer.
func (s *shared) get(ctx context.Context, k key) (*resource, error) {
	text, ok, err := s.store.Get(ctx, s.name(k))
	if err != nil {
		return nil, err
	}
	if ok {
		if known, err := decode(text); err == nil {
			return known, nil
		}
	}
	return &nothing, nil
}

// put implements answers. Of two that are put at once one may be lost: the next request
// for it asks the backend.
func (s *shared) put(q *question, e *entry) {
	rule := s.local.h.rule
	if rule.onFailure == failLocal {
		s.local.put(q, e)
	}
	ctx := context.Background()
	old, err := s.get(ctx, q.key)
	if err != nil {
		return
	}
	now := time.Now()
	next := merged(old, e, now, rule)
	for sizeOf(next) > 2*rule.maxBody && len(next.variants) > 1 {
		next.variants = next.variants[:len(next.variants)-1]
	}
	if ttl := endOf(next, rule).Sub(now); ttl > 0 {
		_ = s.store.Set(ctx, s.name(q.key), encode(next), ttl) // else it is asked for again
	}
}

// pass implements answers.
func (s *shared) pass(q *question) { s.local.pass(q) }

// forget implements answers. A store that does not answer keeps what it has for its
// time, as a cache may that an invalidation does not reach (RFC 9111, 4.4).
func (s *shared) forget(q *question) {
	s.local.forget(q)
	_ = s.store.Delete(context.Background(), s.name(q.key))
}
