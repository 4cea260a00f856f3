// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package tickets shares the keys of TLS session tickets among the replicas of a
// gateway, so that a client resumes its session wherever it arrives. The keys are
// random, live a day and a half at most, and are known to all replicas before the first
// ticket is made with them.
//
// While the shared store is silent each replica goes on with the keys that it has,
// and after a day with one of its own.
package tickets

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/store"
)

const (
	// newAfter is the age of the newest key at which another one is made, keep that
	// at which a key is forgotten.
	newAfter = 12 * time.Hour
	keep     = 36 * time.Hour
	// alone is when a replica that cannot reach the others makes a key for itself.
	alone = 24 * time.Hour
	// look is the pause between looks at the store, and spread the age at which every
	// replica has seen a key.
	look   = time.Minute
	spread = 3 * look

	where = store.KeptPrefix + "tls/tickets"
)

// key is one key.
type key struct {
	Secret []byte    `json:"secret"`
	Made   time.Time `json:"made"`
}

// swap replaces a value if it is still the one that was read.
var swap = store.NewScript(`
local have = redis.call('GET', KEYS[1]) or ''
if have ~= ARGV[1] then return {0} end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return {1}`)

// Run keeps the keys until the context ends. Publish is given each new list, with the
// key for new tickets first.
func Run(ctx context.Context, s store.Store, log *slog.Logger, publish func([][32]byte)) {
	r := &ring{store: s, log: log}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if list, news := r.step(ctx, time.Now()); news {
			publish(list)
		}
		timer.Reset(look)
	}
}

// ring is what one replica knows.
type ring struct {
	store store.Store
	log   *slog.Logger
	keys  []key
	last  [][32]byte
}

// step looks at the store, and makes a key when it is time to.
func (r *ring) step(ctx context.Context, now time.Time) (list [][32]byte, news bool) {
	if err := r.refresh(ctx, now); err != nil && ctx.Err() == nil {
		r.log.Debug("the keys of session tickets could not be shared", "err", err)
		if len(r.keys) == 0 || now.Sub(r.keys[0].Made) > alone {
			r.keys = with(r.keys, now)
		}
	}
	list = ordered(r.keys, now)
	if same(list, r.last) || len(list) == 0 {
		return nil, false
	}
	r.last = list
	return list, true
}

func (r *ring) refresh(ctx context.Context, now time.Time) error {
	text, _, err := r.store.Get(ctx, where)
	if err != nil {
		return err
	}
	found := decode(text)
	if len(found) > 0 && now.Sub(found[0].Made) < newAfter {
		r.keys = found
		return nil
	}
	next := with(found, now)
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	done, err := r.store.Eval(ctx, swap, []string{where}, string(text), string(data), (2 * keep).Milliseconds())
	if err != nil {
		return err
	}
	if len(done) == 1 && done[0] == 1 {
		r.keys = next
		return nil
	}
	if text, _, err = r.store.Get(ctx, where); err == nil { // another replica was first
		r.keys = decode(text)
	}
	return err
}

// decode reads a list. What cannot be read is replaced.
func decode(text []byte) (list []key) {
	if json.Unmarshal(text, &list) != nil {
		return nil
	}
	for _, k := range list {
		if len(k.Secret) != 32 {
			return nil
		}
	}
	return list
}

// with puts a new key before those that are not too old.
func with(list []key, now time.Time) []key {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it never fails
	next := []key{{Secret: secret, Made: now}}
	for _, k := range list {
		if now.Sub(k.Made) < keep {
			next = append(next, k)
		}
	}
	return next
}

// ordered puts the key for new tickets first: the newest that everybody knows.
func ordered(keys []key, now time.Time) (list [][32]byte) {
	first := 0
	for i, k := range keys {
		if now.Sub(k.Made) >= spread {
			first = i
			break
		}
	}
	for i := range keys {
		list = append(list, [32]byte(keys[(first+i)%len(keys)].Secret))
	}
	return list
}

func same(a, b [][32]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
