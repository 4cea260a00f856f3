// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package secrets

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"gateway.jkaninda.dev/goma/internal/certstore"
)

// seen is one version of a Secret. It does not change.
type seen struct {
	uid     string
	version string
	data    map[string][]byte
}

// shard is one of the Secrets.
type shard struct {
	name  string
	api   API
	looks *looks

	mu sync.Mutex

	// current is nil before the first look, and while the Secret does not exist.
	current *seen
	// next is the look that begins soon, and last when one began.
	next *look
	last time.Time
}

// looks are those of a store that run.
type looks struct {
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
}

// look is a question to the API server that several wait for.
type look struct {
	done chan struct{}
	err  error
}

func (s *shard) copy() *seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// take keeps a version, unless a newer one is known.
func (s *shard) take(secret *corev1.Secret) {
	next := &seen{uid: string(secret.UID), version: secret.ResourceVersion, data: secret.Data}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.current; c != nil && c.uid == next.uid {
		if order, err := resourceversion.CompareResourceVersion(c.version, next.version); err == nil && order >= 0 {
			return
		}
	}
	s.current = next
}

func (s *shard) gone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = nil
}

func (s *shard) missing() error {
	return fmt.Errorf("%w: there is no Secret %s; the operator makes it", certstore.ErrUnavailable, s.name)
}

// read asks the API server for the newest version.
func (s *shard) read(ctx context.Context) error {
	secret, err := s.api.Secret(ctx, s.name)
	if apierrors.IsNotFound(err) {
		s.gone()
		return s.missing()
	}
	if err != nil {
		return explain("reading Secret "+s.name, err)
	}
	s.take(secret)
	return nil
}

const (
	// lookPause is the least time between two looks for what the copy does not have:
	// anybody may ask for a challenge that does not exist.
	lookPause = 200 * time.Millisecond
	lookTime  = 10 * time.Second
)

// refresh reads once for all who ask at about the same time. What was written before
// it was called is there when it returns.
func (s *shard) refresh(ctx context.Context) error {
	s.mu.Lock()
	l := s.next
	if l == nil {
		l = &look{done: make(chan struct{})}
		s.next = l
		wait := lookPause - time.Since(s.last)
		s.looks.running.Go(func() { s.look(l, wait) })
	}
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", certstore.ErrUnavailable, ctx.Err())
	case <-l.done:
		return l.err
	}
}

// look begins after a pause.
func (s *shard) look(l *look, wait time.Duration) {
	defer close(l.done)
	ctx, cancel := context.WithTimeout(s.looks.ctx, lookTime)
	defer cancel()
	timer := time.NewTimer(wait)
	select {
	case <-ctx.Done():
		timer.Stop()
	case <-timer.C:
	}
	s.mu.Lock()
	s.next, s.last = nil, time.Now()
	s.mu.Unlock()
	l.err = s.read(ctx)
}
