// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package secrets

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gateway.jkaninda.dev/goma/internal/certstore"
)

const (
	// lockTime is how long a Lease stays its holder's without being renewed. Others
	// measure it by their own clocks, from when they saw the last renewal, so that no
	// two clocks are compared. The holder gives up lockMargin earlier.
	lockTime   = 30 * time.Second
	lockRenew  = lockTime / 4
	lockMargin = 5 * time.Second
	// lockRetry is the pause after a renewal that failed.
	lockRetry = time.Second
)

// watched remembers when the Leases of others changed the last time.
type watched struct {
	mu sync.Mutex

	seen map[string]sighting
}

// sighting is a version of a Lease, and when it was first seen.
type sighting struct {
	version string
	at      time.Time
}

// over tells whether the holder of a Lease has not renewed it for as long as it had it.
func (w *watched) over(lease *coordinationv1.Lease, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		w.seen = map[string]sighting{}
	}
	last, ok := w.seen[lease.Name]
	if !ok || last.version != lease.ResourceVersion {
		w.seen[lease.Name] = sighting{lease.ResourceVersion, now}
		return false
	}
	return now.Sub(last.at) >= lockTime
}

// lock is a Lease that is held.
type lock struct {
	api    API
	slot   int
	number int64
	holder string
	lost   chan struct{}
	// end stops the renewal, and renewed is closed when it has stopped.
	end     context.CancelFunc
	renewed chan struct{}
	lease   *coordinationv1.Lease
}

var _ certstore.Lock = (*lock)(nil)

// TryLock implements certstore.Backend.
func (s *Store) TryLock(ctx context.Context, name string) (certstore.Lock, error) {
	slot := slotOf(name)
	lease, err := s.o.API.Lease(ctx, s.leases[slot])
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("%w: there is no Lease %s; the operator makes it", certstore.ErrUnavailable, s.leases[slot])
	}
	if err != nil {
		return nil, explain("reading Lease "+s.leases[slot], err)
	}
	begun := time.Now()
	if holderOf(lease) != "" && !s.locks.over(lease, begun) {
		return nil, nil //nolint:nilnil // somebody else's
	}
	l := &lock{api: s.o.API, slot: slot, holder: s.o.Holder + "/" + rand.Text(), lost: make(chan struct{}), renewed: make(chan struct{})}
	l.number = 1
	if n := lease.Spec.LeaseTransitions; n != nil {
		l.number = int64(*n) + 1
	}
	lease = lease.DeepCopy()
	lease.Spec = coordinationv1.LeaseSpec{
		HolderIdentity: &l.holder, LeaseTransitions: new(int32(l.number)), //nolint:gosec // it was one
		LeaseDurationSeconds: new(int32(lockTime / time.Second)),
		AcquireTime:          new(metav1.NewMicroTime(begun)), RenewTime: new(metav1.NewMicroTime(begun)),
	}
	l.lease, err = s.o.API.UpdateLease(ctx, lease)
	if apierrors.IsConflict(err) {
		return nil, nil //nolint:nilnil // another was quicker
	}
	if err != nil {
		return nil, explain("taking Lease "+s.leases[slot], err)
	}
	renewing, end := context.WithCancel(context.WithoutCancel(ctx))
	l.end = end
	go l.renew(renewing, begun)
	return l, nil
}

func holderOf(lease *coordinationv1.Lease) string {
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// Lost implements certstore.Lock.
func (l *lock) Lost() <-chan struct{} { return l.lost }

// check tells whether something may still be written under the lock.
func (l *lock) check(data map[string][]byte) error {
	select {
	case <-l.lost:
		return certstore.ErrLost
	default:
	}
	if fence(data, l.slot) > l.number {
		return fmt.Errorf("%w: the next holder has written already", certstore.ErrLost)
	}
	return nil
}

// renew keeps the lock until it is given back, or cannot be kept.
func (l *lock) renew(ctx context.Context, last time.Time) {
	defer close(l.renewed)
	defer close(l.lost)
	wait := lockRenew
	for {
		until := last.Add(lockTime - lockMargin)
		timer := time.NewTimer(min(wait, time.Until(until)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		begun := time.Now()
		if !begun.Before(until) {
			return
		}
		bounded, cancel := context.WithDeadline(ctx, until)
		held, err := l.renewOnce(bounded)
		cancel()
		switch {
		case err != nil:
			wait = lockRetry
		case !held:
			return
		default:
			last, wait = begun, lockRenew
		}
	}
}

// renewOnce tells whether the Lease is still ours; an error is for not knowing.
func (l *lock) renewOnce(ctx context.Context) (bool, error) {
	next := l.lease.DeepCopy()
	next.Spec.RenewTime = new(metav1.NewMicroTime(time.Now()))
	got, err := l.api.UpdateLease(ctx, next)
	if err == nil {
		l.lease = got
		return true, nil
	}
	if !apierrors.IsConflict(err) {
		return false, err
	}
	// Somebody took it, or an answer to us was lost.
	if got, err = l.api.Lease(ctx, l.lease.Name); err != nil {
		return false, err
	}
	if holderOf(got) != l.holder {
		return false, nil
	}
	l.lease = got
	return false, errStale
}

var errStale = fmt.Errorf("%w: the Lease has changed", certstore.ErrUnavailable)

const releaseTime = 5 * time.Second

// Release implements certstore.Lock. What cannot be given back ends by itself.
func (l *lock) Release(ctx context.Context) {
	l.end()
	<-l.renewed
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	for range 3 {
		if holderOf(l.lease) != l.holder {
			return
		}
		next := l.lease.DeepCopy()
		next.Spec.HolderIdentity, next.Spec.RenewTime = nil, nil
		_, err := l.api.UpdateLease(ctx, next)
		if !apierrors.IsConflict(err) {
			return
		}
		if l.lease, err = l.api.Lease(ctx, l.lease.Name); err != nil {
			return
		}
	}
}
