// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package acme

import (
	"context"
	"time"

	"gateway.jkaninda.dev/goma/internal/certstore"
)

// beside keeps values with the process beside this one, which has rights in a cluster.
type beside struct{ to *certstore.Client }

var _ Store = beside{}

// lockKey is the key of a context that something is done under a lock with.
type lockKey struct{}

// lockOf gives the lock that something is done under; empty for none.
func lockOf(ctx context.Context) string {
	id, _ := ctx.Value(lockKey{}).(string)
	return id
}

// Load implements Store.
func (b beside) Load(ctx context.Context, key string) ([]byte, error) {
	return b.to.Load(ctx, key, lockOf(ctx))
}

// Save implements Store.
func (b beside) Save(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return b.to.Save(ctx, key, lockOf(ctx), value, ttl)
}

// Delete implements Store.
func (b beside) Delete(ctx context.Context, key string) error {
	return b.to.Delete(ctx, key, lockOf(ctx))
}

// TryLock implements Store.
func (b beside) TryLock(ctx context.Context, name string) (context.Context, func(), error) {
	lock, err := b.to.TryLock(ctx, name)
	if err != nil || lock == nil {
		return ctx, nil, err
	}
	held, lose := context.WithCancel(context.WithValue(ctx, lockKey{}, lock.ID))
	stop := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		defer lose()
		select {
		case <-lock.Lost:
		case <-stop:
		}
	}()
	return held, func() {
		close(stop)
		<-watched
		lock.Release(ctx)
	}, nil
}
