// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package acme

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/caddyserver/certmagic"

	"gateway.jkaninda.dev/goma/internal/certstore"
)

// Store keeps certificates, accounts, attempts and challenges. It is safe for
// concurrent use, by several processes too.
type Store interface {
	// Load gives a value; the error is fs.ErrNotExist when there is none. Any other
	// error does not mean that there is none.
	Load(ctx context.Context, key string) ([]byte, error)
	// Save replaces a value at once: a reader finds the old or the new one. It may
	// be forgotten after ttl.
	Save(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Delete takes a value out. None is no error.
	Delete(ctx context.Context, key string) error
	// TryLock takes a lock; unlock is nil when somebody else has it. It is held until
	// unlock, or until the process that has it is gone. What is done under the lock is
	// done with the context held: it ends when the lock is lost, as far as that can be
	// known.
	TryLock(ctx context.Context, name string) (held context.Context, unlock func(), err error)
}

// place is where the things of one authority are. Another directory is another
// place: what a test authority issued is never taken for the real one's. A10
type place string

func placeOf(directory string) place {
	sum := sha256.Sum256([]byte(directory))
	return place("acme/" + hex.EncodeToString(sum[:8]))
}

const (
	kindCertificates = certstore.KindCertificates
	kindAccounts     = certstore.KindAccounts
	kindAttempts     = "attempts"
)

func (p place) certificate(host string) string { return p.of(kindCertificates, host) }
func (p place) attempts(host string) string    { return p.of(kindAttempts, host) }
func (p place) account(email string) string    { return p.of(kindAccounts, email) }

func (p place) of(kind, name string) string {
	return path.Join(string(p), kind, certmagic.StorageKeys.Safe(name)+".json")
}

// tokenKey and alpnKey are where challenges in progress are, of all authorities.
func tokenKey(token string) string {
	return path.Join("acme/tokens", certmagic.StorageKeys.Safe(token))
}
func alpnKey(host string) string { return path.Join("acme/alpn", certmagic.StorageKeys.Safe(host)) }

// files keeps values in files that only their owner can read, written beside and
// renamed.
type files struct{ disk *certmagic.FileStorage }

var _ Store = files{}

func newFiles(dir string) files { return files{&certmagic.FileStorage{Path: dir}} }

// Load implements Store.
func (f files) Load(ctx context.Context, key string) ([]byte, error) { return f.disk.Load(ctx, key) }

// Save implements Store.
func (f files) Save(ctx context.Context, key string, value []byte, _ time.Duration) error {
	return f.disk.Store(ctx, key, value)
}

// Delete implements Store.
func (f files) Delete(ctx context.Context, key string) error { return f.disk.Delete(ctx, key) }

// TryLock implements Store.
func (f files) TryLock(ctx context.Context, name string) (context.Context, func(), error) {
	ok, err := f.disk.TryLock(ctx, name)
	if err != nil || !ok {
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			err = nil
		}
		return ctx, nil, err
	}
	return ctx, func() { _ = f.disk.Unlock(context.WithoutCancel(ctx), name) }, nil // else it becomes stale
}

// fetch loads and decodes a value; ok is false when there is none.
func fetch[T any](ctx context.Context, s Store, key string, decode func([]byte) (T, error)) (value T, ok bool, err error) {
	data, err := s.Load(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return value, false, nil
	}
	if err != nil {
		return value, false, fmt.Errorf("reading %s of the store: %w", key, err)
	}
	if value, err = decode(data); err != nil {
		return value, false, fmt.Errorf("%s of the store is damaged: %w", key, err)
	}
	return value, true, nil
}
