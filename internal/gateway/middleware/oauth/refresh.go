// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"
)

// refresher makes one call for each refresh token, however many requests of a page
// come with it. Providers that rotate their tokens take a second use for a theft.
// What came of it is remembered for those that are still on their way with the old
// one. M14
type refresher struct {
	refresh func(context.Context, *state) (*state, error)
	flights singleflight.Group

	mu sync.Mutex

	recent map[[sha256.Size]byte]refreshed
}

type refreshed struct {
	state *state
	err   error
	until time.Time
}

const (
	// A new session is remembered for a page that is loading, a refusal as long; a
	// provider that is away is asked again soon.
	rememberFor = time.Minute
	tryAgain    = 3 * time.Second
	mostRecent  = 4096
)

// renewed gives the session with new tokens.
func (f *refresher) renewed(ctx context.Context, s *state) (*state, error) {
	key := sha256.Sum256([]byte(s.Refresh))
	if r, ok := f.recall(key); ok {
		return r.state, r.err
	}
	fresh, err, _ := f.flights.Do(string(key[:]), func() (any, error) {
		if r, ok := f.recall(key); ok {
			return r.state, r.err
		}
		fresh, err := f.refresh(ctx, s)
		f.remember(key, fresh, err)
		return fresh, err
	})
	if err != nil {
		return nil, err
	}
	return fresh.(*state), nil
}

func (f *refresher) recall(key [sha256.Size]byte) (refreshed, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.recent[key]
	return r, ok && time.Now().Before(r.until)
}

func (f *refresher) remember(key [sha256.Size]byte, s *state, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.recent == nil {
		f.recent = map[[sha256.Size]byte]refreshed{}
	}
	if len(f.recent) >= mostRecent {
		f.makeRoom(now)
	}
	lasts := rememberFor
	if err != nil && !errors.Is(err, errRefused) {
		lasts = tryAgain
	}
	f.recent[key] = refreshed{s, err, now.Add(lasts)}
}

func (f *refresher) makeRoom(now time.Time) {
	for key, r := range f.recent {
		if now.After(r.until) {
			delete(f.recent, key)
		}
	}
	for key := range f.recent {
		if len(f.recent) <= mostRecent/2 {
			return
		}
		delete(f.recent, key)
	}
}

// errRefused is the error of a provider that does not want to go on with a user; any
// other one may pass.
var errRefused = errors.New("the provider refuses the refresh token")

// refresh asks the provider for new tokens. It gives a session of its own, since
// many requests share the old one.
func (p *provider) refresh(ctx context.Context, old *state) (*state, error) {
	m, err := p.metadata(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := p.with(ctx)
	defer cancel()
	token, err := m.oauth.TokenSource(ctx, &oauth2.Token{RefreshToken: old.Refresh}).Token()
	if err != nil {
		return nil, refusal(err)
	}
	fresh := *old
	if raw, _ := token.Extra("id_token").(string); raw != "" && m.verifier != nil {
		told, err := p.verified(ctx, m, raw, "")
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: %w", errRefused, err)
		case told.subject() != old.Subject: // OpenID Connect Core §12.2
			return nil, fmt.Errorf("%w: %w", errRefused, errOtherSubject)
		case p.complete(told): // or the login knew more, from the userinfo endpoint
			p.learn(&fresh, told)
		}
	}
	p.renew(&fresh, token)
	return &fresh, nil
}

func statusOf(e *oauth2.RetrieveError) int {
	if e == nil || e.Response == nil {
		return 0
	}
	return e.Response.StatusCode
}

// refusal tells an answer about this user from a failure that may pass.
func refusal(err error) error {
	e, ok := errors.AsType[*oauth2.RetrieveError](err)
	if status := statusOf(e); ok && status >= 400 && status < 500 && status != http.StatusTooManyRequests {
		return fmt.Errorf("%w: %w", errRefused, cause(err))
	}
	return fmt.Errorf("refreshing the token: %w", cause(err))
}
