// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package acme

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"sync"
	"time"

	"gateway.jkaninda.dev/goma/internal/certstore"
	"gateway.jkaninda.dev/goma/internal/gateway/store"
)

// mirrored keeps values in the store of all replicas, and copies of them in files, for
// when it does not answer.
type mirrored struct {
	to   Store
	copy files
}

var _ Store = mirrored{}

// Load implements Store. The copy is read only while the shared store is silent:
// what it does not have is gone.
func (m mirrored) Load(ctx context.Context, key string) ([]byte, error) {
	value, err := m.to.Load(ctx, key)
	if err != nil && silent(err) {
		if value, mine := m.copy.Load(ctx, key); mine == nil {
			return value, nil
		}
	}
	return value, err
}

// Save implements Store.
func (m mirrored) Save(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := again(ctx, func() error { return m.to.Save(ctx, key, value, ttl) }); err != nil {
		return err
	}
	if certstore.Lasting(key) { // nothing is ordered from a copy, and no challenge answered
		_ = m.copy.Save(ctx, key, value, ttl) // a pod without a writable volume has no copy
	}
	return nil
}

// Delete implements Store.
func (m mirrored) Delete(ctx context.Context, key string) error {
	if certstore.Lasting(key) {
		_ = m.copy.Delete(ctx, key) // as above
	}
	return again(ctx, func() error { return m.to.Delete(ctx, key) })
}

// TryLock implements Store.
func (m mirrored) TryLock(ctx context.Context, name string) (context.Context, func(), error) {
	return m.to.TryLock(ctx, name)
}

// shared keeps values in Redis.
type shared struct{ to store.Store }

var _ Store = shared{}

// Load implements Store.
func (s shared) Load(ctx context.Context, key string) ([]byte, error) {
	value, ok, err := s.to.Get(ctx, store.KeptPrefix+key)
	if err == nil && !ok {
		err = fs.ErrNotExist
	}
	return value, err
}

// Save implements Store.
func (s shared) Save(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return s.to.Set(ctx, store.KeptPrefix+key, value, ttl)
}

// Delete implements Store.
func (s shared) Delete(ctx context.Context, key string) error {
	return s.to.Delete(ctx, store.KeptPrefix+key)
}

// Calls of the shared store are made for requests, and given up after milliseconds.
// What is saved here has cost an order, and gets more patience.
const (
	tries    = 20
	tryPause = 250 * time.Millisecond
)

func again(ctx context.Context, do func() error) (err error) {
	for range tries {
		if err = do(); err == nil || !silent(err) {
			return err
		}
		timer := time.NewTimer(tryPause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
	return err
}

// A lock is renewed while it is held, and ends by itself with its holder.
const (
	lockTime  = 30 * time.Second
	lockRenew = lockTime / 4
)

var (
	scriptLock = store.NewScript(`
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return {1} end
return {0}`)
	scriptRenew = store.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return {1}
end
return {0}`)
	scriptUnlock = store.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return {1}`)
)

// TryLock implements Store.
func (s shared) TryLock(ctx context.Context, name string) (context.Context, func(), error) {
	key, owner := []string{store.KeptPrefix + "acme/locks/" + name}, rand.Text()
	got, err := s.to.Eval(ctx, scriptLock, key, owner, lockTime.Milliseconds())
	if err != nil {
		// Perhaps it took effect; then it is ours to give back.
		_, _ = s.to.Eval(context.WithoutCancel(ctx), scriptUnlock, key, owner)
		return ctx, nil, err
	}
	if len(got) != 1 || got[0] != 1 {
		return ctx, nil, nil
	}
	held, lose := context.WithCancel(ctx)
	holding, stop := context.WithCancel(context.WithoutCancel(ctx))
	var renewing sync.WaitGroup
	renewing.Go(func() {
		defer lose()
		s.hold(holding, key, owner)
	})
	return held, func() {
		stop()
		renewing.Wait()
		_, _ = s.to.Eval(context.WithoutCancel(ctx), scriptUnlock, key, owner) // else it ends by itself
	}, nil
}

// hold renews a lock until it is given back, or is another's.
func (s shared) hold(ctx context.Context, key []string, owner string) {
	ticker := time.NewTicker(lockRenew)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		begun := time.Now()
		var got []int64
		err := again(ctx, func() (err error) {
			got, err = s.to.Eval(ctx, scriptRenew, key, owner, lockTime.Milliseconds())
			return err
		})
		switch {
		case err == nil && (len(got) != 1 || got[0] != 1), time.Since(last) > lockTime-lockRenew/2:
			return
		case err == nil:
			last = begun
		}
	}
}

// silent tells an error of a store that does not answer.
func silent(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, certstore.ErrUnavailable)
}
