// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package acme

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// result is what came of a look at a host.
type result struct {
	// record is what is to be served; nil when there is nothing.
	record *record
	state  attempts
	next   time.Time
}

// The times between looks at a host.
const (
	// whileBusy is while another replica orders, or the store is silent.
	whileBusy = 2 * time.Second
	// whileStarting is while nobody is sent here yet.
	whileStarting = 500 * time.Millisecond
	// whileGood is while there is nothing to do: what others have replaced is found
	// then, and put back what the store has lost.
	whileGood = 10 * time.Minute
)

// work looks at a host, and does what there is to do.
func (m *Manager) work(ctx context.Context, e *entry) {
	r := m.guarded(ctx, e)
	if ctx.Err() != nil {
		return
	}
	m.mu.Lock()
	news := e.state.Error != r.state.Error || !e.state.Next.Equal(r.state.Next)
	e.busy, e.next, e.state = false, r.next, r.state
	if last := e.current.Load(); r.record != nil && (last == nil || last.Certificate != r.record.Certificate || last.Renewal != r.record.Renewal) {
		news = news || last == nil || last.Certificate != r.record.Certificate
		e.current.Store(r.record)
	}
	m.mu.Unlock()
	if news {
		m.changed()
	}
}

// guarded makes a panic a failure of the one host.
func (m *Manager) guarded(ctx context.Context, e *entry) (r result) {
	defer func() {
		if p := recover(); p != nil {
			m.log.Error("panic while a certificate was obtained", "host", e.host, "err", fmt.Sprint(p), "stack", string(debug.Stack()))
			r = result{next: time.Now().Add(pauses[0]), state: attempts{Error: "an error of the gateway"}}
		}
	}()
	return m.look(ctx, e)
}

// look reads what the store has of a host. Only if there is something to do it asks
// for the lock, and looks again: another replica may have done it.
func (m *Manager) look(ctx context.Context, e *entry) result {
	r, due := m.read(ctx, e)
	if !due {
		return r
	}
	if !m.reachable(e) {
		r.next = time.Now().Add(whileStarting)
		return r
	}
	held, unlock, err := m.store.TryLock(ctx, e.provider.place.certificate(e.host))
	if err != nil || unlock == nil {
		r.next = time.Now().Add(whileBusy)
		if err != nil {
			r.state.Error = "the store of certificates cannot be used: " + err.Error()
		}
		return r
	}
	defer unlock()
	if r, due = m.read(held, e); !due {
		return r
	}
	if r.record == nil || !time.Now().Before(r.record.due()) {
		return m.order(held, e, r)
	}
	return m.ask(held, e, r)
}

// reachable tells whether an authority that asks about a host could be answered. A pod
// that is alone is asked at by nobody before it is ready.
func (m *Manager) reachable(e *entry) bool {
	if m.ready == nil || e.provider.challenge == acme.ChallengeTypeDNS01 {
		return true
	}
	select {
	case <-m.ready:
		return true
	default:
		return false
	}
}

// read gives what the store has of a host, and whether there is something to do now.
func (m *Manager) read(ctx context.Context, e *entry) (r result, due bool) {
	r.record = e.current.Load()
	stored, ok, err := fetch(ctx, m.store, e.provider.place.certificate(e.host), decodeRecord)
	switch {
	case err != nil:
		// Nothing is ordered, or overwritten, while it is not known what is there. A10
		r.state.Error, r.next = err.Error(), time.Now().Add(whileBusy)
		if !silent(err) {
			r.next = time.Now().Add(pauses[0])
		}
		return r, false
	case ok && (r.record == nil || !stored.pair.Leaf.NotBefore.Before(r.record.pair.Leaf.NotBefore)):
		r.record = stored
	case r.record != nil: // the store has none, or an older one
		m.putBack(ctx, e, r.record)
	}
	if r.state, _, err = fetch(ctx, m.store, e.provider.place.attempts(e.host), decodeAttempts); err != nil && silent(err) {
		r.state.Error, r.next = err.Error(), time.Now().Add(whileBusy)
		return r, false
	}
	return r, r.schedule(time.Now())
}

// schedule says when to look again, and whether that is now.
func (r *result) schedule(now time.Time) (due bool) {
	if r.record == nil || !now.Before(r.record.due()) {
		r.next = later(now, r.state.Next)
		if r.next.After(now) {
			// Another replica may have more luck before.
			look := whileGood
			if r.state.Running {
				look = whileBusy
			}
			r.next = earlier(r.next, now.Add(look))
			return false
		}
		return true
	}
	r.next = earlier(r.record.due(), now.Add(whileGood))
	if w := r.record.Renewal; w != nil {
		if !now.Before(w.Ask) {
			return true
		}
		r.next = earlier(r.next, w.Ask)
	}
	return false
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// putBack gives the store what it has lost.
func (m *Manager) putBack(ctx context.Context, e *entry, r *record) {
	if err := m.save(ctx, e, r); err != nil {
		m.log.Warn("a certificate that the store has lost could not be put back", "host", e.host, "err", err)
	}
}

func (m *Manager) save(ctx context.Context, e *entry, r *record) error {
	data, err := r.encode()
	if err != nil {
		return fmt.Errorf("encoding the certificate: %w", err)
	}
	if err := m.store.Save(ctx, e.provider.place.certificate(e.host), data, r.keep(time.Now())); err != nil {
		return fmt.Errorf("saving the certificate: %w", err)
	}
	return nil
}

// order obtains a certificate. The attempt is written down as a failure before it is
// made, so that a process that dies of it, or cannot write, does not make it again
// and again. A11
func (m *Manager) order(ctx context.Context, e *entry, r result) result {
	before := r.state
	r.state = before.begun(time.Now())
	if err := m.note(ctx, e, r.state); err != nil {
		r.state = before
		r.state.Error, r.next = "the store of certificates cannot be written: "+err.Error(), time.Now().Add(pauses[0])
		return r
	}
	m.log.Info("ordering a certificate", "host", e.host, "provider", e.provider.name, "attempt", r.state.Failures)
	got, err := e.provider.issuer.issue(ctx, e.host, r.record)
	if err == nil {
		err = m.save(ctx, e, got)
	}
	if err != nil && got == nil {
		return m.failed(ctx, e, r, before, err)
	}
	// Even one that could not be saved is served.
	r.record = got
	r.state = attempts{}
	if err != nil {
		r.state.Error = err.Error()
		m.log.Error("a certificate is served but not saved", "host", e.host, "err", err)
	}
	if err := m.store.Delete(ctx, e.provider.place.attempts(e.host)); err != nil {
		m.log.Warn("attempts that are over could not be forgotten", "host", e.host, "err", err)
	}
	r.schedule(time.Now())
	m.log.Info("certificate obtained", "host", e.host, "issuer", got.pair.Leaf.Issuer.CommonName, "not_after", got.pair.Leaf.NotAfter)
	return r
}

// failed says what went wrong, and when the next attempt is.
func (m *Manager) failed(ctx context.Context, e *entry, r result, before attempts, err error) result {
	if ctx.Err() != nil {
		return r // the note that it was broken off stands
	}
	r.state.Error, r.state.Running, r.state.Soon = explain(err), false, unreachable(err)
	switch {
	case unreachable(err):
		// It has counted nothing, so it may be tried again soon.
		r.state.Failures = before.Failures
		r.state.Next = time.Now().Add(unreachablePause)
	case limited(err):
		r.state.Next = later(r.state.Next, time.Now().Add(limitedPause))
	}
	r.next = r.state.Next
	if err := m.note(ctx, e, r.state); err != nil {
		m.log.Warn("an attempt could not be noted", "host", e.host, "err", err)
	}
	m.log.Warn("no certificate was obtained", "host", e.host, "provider", e.provider.name, "err", r.state.Error, "next", r.state.Next)
	return r
}

const (
	unreachablePause = 15 * time.Second
	limitedPause     = time.Hour
)

func (m *Manager) note(ctx context.Context, e *entry, a attempts) error {
	data, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encoding the attempts: %w", err)
	}
	return m.store.Save(ctx, e.provider.place.attempts(e.host), data, keepAttempts)
}

// ask asks the authority when to renew.
func (m *Manager) ask(ctx context.Context, e *entry, r result) result {
	advice, err := e.provider.issuer.advice(ctx, r.record.pair.Leaf)
	if err != nil {
		again := renewal{}
		if r.record.Renewal != nil {
			again = *r.record.Renewal
		}
		again.Ask = time.Now().Add(askAgain / 6)
		advice = &again
	}
	fresh := *r.record
	fresh.Renewal = advice
	if err := m.save(ctx, e, &fresh); err != nil {
		m.log.Warn("the time of renewal could not be saved", "host", e.host, "err", err)
	}
	r.record = &fresh
	r.schedule(time.Now())
	return r
}

// unreachable tells errors of the way to an authority. A12
func unreachable(err error) bool {
	var refused acme.Problem
	if errors.As(err, &refused) {
		return false
	}
	var network net.Error
	var request *url.Error
	return errors.As(err, &network) || errors.As(err, &request) || errors.Is(err, errLocked) || silent(err)
}

func limited(err error) bool {
	var refused acme.Problem
	return errors.As(err, &refused) && refused.Type == acme.ProblemTypeRateLimited
}

const maxErrorBytes = 500

// explain says what went wrong. The details of an authority are what its user needs.
func explain(err error) string {
	text := err.Error()
	var refused acme.Problem
	if errors.As(err, &refused) && refused.Detail != "" {
		text = fmt.Sprintf("the authority refuses: %s (%s)", refused.Detail, refused.Type)
	}
	return text[:min(len(text), maxErrorBytes)]
}
