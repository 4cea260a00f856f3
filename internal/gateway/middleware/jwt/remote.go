// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/peer"
)

// When a key set is asked for again.
const (
	// fresh is how long a key set is used before it is asked for again, beside the
	// requests, which go on with the one at hand.
	fresh = 10 * time.Minute
	// askAgain is the least time between two questions, whatever tokens name. M16
	askAgain = 10 * time.Second
	// askSoon is that time as long as there is no key at all.
	askSoon = time.Second

	fetchTimeout = 5 * time.Second
)

// remoteKey names a remote, which all middlewares share that use one key set.
type remoteKey struct {
	url   string
	trust peer.Trust
}

// remote is the key set of a provider. It is asked once for all who wait, and while
// it is away the last keys that it told are good. It is safe for concurrent use;
// Close ends it.
type remote struct {
	url    string
	client *peer.Client
	logger *slog.Logger
	now    func() time.Time
	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	set atomic.Pointer[keySet]
	// stale is when to ask again beside the requests, in nanoseconds since 1970.
	stale atomic.Int64

	mu sync.Mutex

	fetching chan struct{} // closed when the question is answered; nil without one
	asked    time.Time
	document []byte // of set
	failed   bool   // the last question
	closed   bool
}

func newRemote(k remoteKey, logger *slog.Logger, now func() time.Time) (*remote, error) {
	client, err := peer.NewClient(peer.HTTP{Trust: k.trust, Timeout: fetchTimeout, Proxied: true})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &remote{url: k.url, client: client, logger: logger, now: now, ctx: ctx, cancel: cancel}
	// The first request does not wait, if it can be helped.
	m.ask(0)
	return m, nil
}

// Close ends a question that is under way, and waits for its end.
func (m *remote) Close() {
	m.cancel()
	m.mu.Lock()
	m.closed = true
	done := m.fetching
	m.mu.Unlock()
	if done != nil {
		<-done
	}
	m.client.Close()
}

// current gives the keys at hand; nil before the first are known.
func (m *remote) current() *keySet {
	if m.stale.Load() < m.now().UnixNano() {
		m.ask(askAgain)
	}
	return m.set.Load()
}

// find gives a set that has the key of this name, if the provider has it. It waits
// for an answer only where it has no key of this name, and asks only now and then.
func (m *remote) find(ctx context.Context, id string) (*keySet, error) {
	set := m.current()
	if set != nil && set.has(id) {
		return set, nil
	}
	pause := askAgain
	if set == nil {
		pause = askSoon
	}
	if done := m.ask(pause); done != nil {
		select {
		case <-done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if set = m.set.Load(); set == nil {
		return nil, errAway
	}
	return set, nil
}

// ask starts a question, but not sooner than a pause after the last one. It gives
// what is closed with the answer; nil when there is no question.
func (m *remote) ask(pause time.Duration) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fetching != nil {
		return m.fetching
	}
	if m.closed || !m.asked.IsZero() && m.now().Sub(m.asked) < pause {
		return nil
	}
	done := make(chan struct{})
	m.fetching, m.asked = done, m.now()
	go m.answer(done)
	return done
}

// answer asks, and takes the answer in. Close waits for it.
func (m *remote) answer(done chan<- struct{}) {
	defer close(done)
	document, set, err := m.fetch()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fetching = nil
	m.stale.Store(m.now().Add(fresh).UnixNano())
	if err != nil {
		m.away(err)
		return
	}
	m.failed = false
	// The same keys stay the same set, so that what they verified stays good.
	if !bytes.Equal(document, m.document) {
		m.document = document
		m.set.Store(set)
	}
}

// away notes that the provider gave no keys. The outage is told once.
func (m *remote) away(err error) {
	m.stale.Store(m.now().Add(askAgain).UnixNano())
	if m.logger != nil && !m.failed && m.ctx.Err() == nil {
		m.logger.Warn("the key set of the tokens cannot be read; the last keys are kept", "host", m.host(), "err", err)
	}
	m.failed = true
}

func (m *remote) host() string {
	u, err := url.Parse(m.url)
	if err != nil {
		return ""
	}
	return u.Host
}

// fetch asks the provider. A panic is an answer that cannot be read. E5
func (m *remote) fetch() (document []byte, set *keySet, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading the key set: %v", p)
		}
	}()
	r, err := http.NewRequestWithContext(m.ctx, http.MethodGet, m.url, nil)
	if err != nil {
		return nil, nil, errors.New("the URL cannot be asked")
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := m.client.Do(r)
	if err != nil {
		return nil, nil, peer.Cause(err)
	}
	defer resp.Body.Close() //nolint:errcheck // what matters is whether reading ended well
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("the provider answers %d", resp.StatusCode)
	}
	if document, err = io.ReadAll(resp.Body); err != nil {
		return nil, nil, peer.Cause(err)
	}
	if set, err = parseSet(document); err != nil {
		return nil, nil, fmt.Errorf("the answer %w", err)
	}
	return document, set, nil
}
