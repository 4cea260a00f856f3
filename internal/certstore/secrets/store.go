// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"gateway.jkaninda.dev/goma/internal/certstore"
)

// API is what is asked of an API server, in the namespace of the Gateway.
type API interface {
	Secret(ctx context.Context, name string) (*corev1.Secret, error)
	// PatchSecret applies a JSON merge patch and gives what comes of it.
	PatchSecret(ctx context.Context, name string, patch []byte) (*corev1.Secret, error)
	Lease(ctx context.Context, name string) (*coordinationv1.Lease, error)
	UpdateLease(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error)
}

// Options are what a Store works with. Gateway, Holder and API are required.
type Options struct {
	Gateway string
	// Holder is who has the locks of this process: the pod.
	Holder string
	API    API
	Logger *slog.Logger
	// Wrote is told the result of each write and how often it was made again; nil for
	// nobody.
	Wrote func(err error, conflicts int)
}

// Store is a certstore.Backend on Secrets and Leases.
type Store struct {
	o      Options
	looks  looks
	log    *slog.Logger
	leases []string
	shards []*shard
	byName map[string]*shard
	locks  watched
}

var _ certstore.Backend = (*Store)(nil)

// New makes a store. It asks for nothing before it is used.
func New(o Options) *Store {
	// Looks are for all who ask, so they end with the store and not with one of them.
	ctx, stop := context.WithCancel(context.Background())
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Wrote == nil {
		o.Wrote = func(error, int) {}
	}
	s := &Store{o: o, log: o.Logger, leases: LeaseNames(o.Gateway), byName: map[string]*shard{}}
	s.looks.ctx, s.looks.stop = ctx, stop
	for _, name := range SecretNames(o.Gateway) {
		sh := &shard{name: name, api: o.API, looks: &s.looks}
		s.shards, s.byName[name] = append(s.shards, sh), sh
	}
	return s
}

// Close ends what runs. Locks are ended by who has them.
func (s *Store) Close() {
	s.looks.stop()
	s.looks.running.Wait()
}

// Take is told of a Secret that has changed.
func (s *Store) Take(secret *corev1.Secret) {
	if sh := s.byName[secret.Name]; sh != nil {
		sh.take(secret)
	}
}

// Gone is told of a Secret that does not exist.
func (s *Store) Gone(name string) {
	if sh := s.byName[name]; sh != nil {
		sh.gone()
	}
}

// Load implements certstore.Backend. What the copy does not have is asked for: it may
// have come this moment, as the challenge of another replica.
func (s *Store) Load(ctx context.Context, key string, under certstore.Lock) ([]byte, error) {
	sh := s.shards[shardOf(key)]
	if under == nil {
		if c := sh.copy(); c != nil {
			if value, err := valueOf(c.data, key, time.Now()); !errors.Is(err, fs.ErrNotExist) {
				return value, err
			}
		}
		if err := sh.refresh(ctx); err != nil {
			return nil, err
		}
	} else if err := sh.read(ctx); err != nil {
		return nil, err
	}
	c := sh.copy()
	if c == nil {
		return nil, sh.missing()
	}
	return valueOf(c.data, key, time.Now())
}

// Save implements certstore.Backend.
func (s *Store) Save(ctx context.Context, key string, value []byte, ttl time.Duration, under certstore.Lock) error {
	entry, err := encodeEntry(key, value, time.Now().Add(ttl))
	if err != nil {
		return err
	}
	if len(entry) > maxShardBytes {
		return fmt.Errorf("%w: it has %d bytes, and a Secret holds %d", certstore.ErrTooLarge, len(entry), maxShardBytes)
	}
	return s.change(ctx, key, entry, under)
}

// Delete implements certstore.Backend.
func (s *Store) Delete(ctx context.Context, key string, under certstore.Lock) error {
	return s.change(ctx, key, nil, under)
}

const (
	// maxConflicts bounds how often a write is made again because another was quicker.
	maxConflicts = 20
	// conflictPause is the longest pause before that.
	conflictPause = 500 * time.Millisecond
)

// change writes an entry, or takes it out, as one step on the version of the Secret
// that was looked at. A9
func (s *Store) change(ctx context.Context, key string, entry []byte, under certstore.Lock) (err error) {
	sh, conflicts := s.shards[shardOf(key)], 0
	defer func() { s.o.Wrote(err, conflicts) }()
	for ; ; conflicts++ {
		if c := sh.copy(); c == nil || conflicts > 0 || entry == nil && c.data[entryName(key)] == nil {
			if err := sh.read(ctx); err != nil {
				return err
			}
		}
		c := sh.copy()
		if c == nil {
			return sh.missing()
		}
		patch, err := c.patch(sh.name, entryName(key), entry, under)
		if err != nil || patch == nil {
			return err
		}
		secret, err := s.o.API.PatchSecret(ctx, sh.name, patch)
		if err == nil {
			sh.take(secret)
			return nil
		}
		if !apierrors.IsConflict(err) || conflicts == maxConflicts {
			return explain("writing Secret "+sh.name, err)
		}
		if err := pause(ctx, conflicts); err != nil {
			return err
		}
	}
}

// pause waits a little before a write is made again.
func pause(ctx context.Context, conflicts int) error {
	most := min(10*time.Millisecond<<conflicts, conflictPause)
	timer := time.NewTimer(most/2 + rand.N(most/2)) //nolint:gosec // no secret
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", certstore.ErrUnavailable, ctx.Err())
	case <-timer.C:
		return nil
	}
}

// patch gives the merge patch of a change; nil when there is nothing to do.
func (c *seen) patch(secret, name string, entry []byte, under certstore.Lock) ([]byte, error) {
	data := map[string][]byte{}
	if l, ok := under.(*lock); ok {
		if err := l.check(c.data); err != nil {
			return nil, err
		}
		if fence(c.data, l.slot) != l.number {
			data[fenceName(l.slot)] = []byte(strconv.FormatInt(l.number, 10))
		}
	}
	if entry == nil && c.data[name] == nil {
		return nil, nil
	}
	room := maxShardBytes - size(c.data) + len(c.data[name]) - len(entry)
	sweep := func(lasting bool) {
		for _, over := range expired(c.data, lasting, time.Now()) {
			if over != name {
				data[over] = nil
				room += len(c.data[over])
			}
		}
	}
	sweep(false)
	if room < 0 { // a clock that is wrong must not cost certificates without need
		sweep(true)
	}
	if entry != nil && room < 0 {
		return nil, fmt.Errorf("%w: Secret %s holds at most %d bytes and lacks %d; keep the certificates in Redis "+
			"(spec.server.redis), or spread the hosts over several Gateways", certstore.ErrTooLarge, secret, maxShardBytes, -room)
	}
	data[name] = entry
	return json.Marshal(map[string]any{"metadata": map[string]string{"resourceVersion": c.version}, "data": data})
}

// explain gives an error of the API server in the form that gateways know. It holds
// nothing of a Secret's content.
func explain(what string, err error) error {
	kind := certstore.ErrUnavailable
	if apierrors.IsRequestEntityTooLargeError(err) || apierrors.IsInvalid(err) {
		kind = certstore.ErrTooLarge
	}
	return fmt.Errorf("%w: %s: %w", kind, what, err)
}
