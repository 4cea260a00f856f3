// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package acme

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// issuer is an authority, as the manager needs it.
type issuer interface {
	// issue makes one order for a host. old is what it replaces, or nil.
	issue(ctx context.Context, host string, old *record) (*record, error)
	// advice asks when a certificate should be renewed.
	advice(ctx context.Context, leaf *x509.Certificate) (*renewal, error)
}

// authority is an issuer that speaks ACME.
type authority struct {
	directory string
	place     place
	email     string
	binding   *acme.EAB
	keyType   string
	http      *http.Client
	solvers   map[string]acmez.Solver
	store     Store

	mu sync.Mutex

	client *acmez.Client
	known  *account
}

var _ issuer = (*authority)(nil)

// account is one with an authority, as it is stored.
type account struct {
	Email   string       `json:"email"`
	Key     string       `json:"key"`
	Account acme.Account `json:"account"`
}

func decodeAccount(data []byte) (*account, error) {
	a := &account{}
	if err := json.Unmarshal(data, a); err != nil {
		return nil, err
	}
	key, err := parseKey([]byte(a.Key))
	if err != nil {
		return nil, err
	}
	a.Account.PrivateKey = key
	return a, nil
}

const (
	// orderTime bounds an order. Until its end the lock is held.
	orderTime = 5 * time.Minute
	// keepAccount is as good as for ever.
	keepAccount = 10 * 365 * 24 * time.Hour
)

// issue implements issuer. An account that the authority has forgotten is made anew,
// once.
func (a *authority) issue(ctx context.Context, host string, old *record) (*record, error) {
	ctx, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	r, err := a.order(ctx, host, old)
	if gone(err) {
		if err := a.forget(ctx); err != nil {
			return nil, err
		}
		r, err = a.order(ctx, host, old)
	}
	return r, err
}

func gone(err error) bool {
	var p acme.Problem
	return errors.As(err, &p) && p.Type == acme.ProblemTypeAccountDoesNotExist
}

func (a *authority) order(ctx context.Context, host string, old *record) (*record, error) {
	client := a.talk()
	who, err := a.account(ctx, client)
	if err != nil {
		return nil, err
	}
	key, text, err := newKey(a.keyType)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	csr, err := acmez.NewCSR(key, []string{host})
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	order, err := acmez.OrderParametersFromCSR(who.Account, csr)
	if err != nil {
		return nil, fmt.Errorf("making the order: %w", err)
	}
	if old != nil && old.Renewal != nil {
		order.Replaces = old.pair.Leaf
	}
	chains, err := client.ObtainCertificate(ctx, order)
	if order.Replaces != nil && notReplaced(err) {
		order.Replaces = nil
		chains, err = client.ObtainCertificate(ctx, order)
	}
	if err != nil {
		return nil, err
	}
	if len(chains) == 0 {
		return nil, errors.New("the authority has issued nothing")
	}
	r, err := newRecord(host, chains[0].ChainPEM, text)
	if err != nil {
		return nil, fmt.Errorf("the authority has issued what cannot be used: %w", err)
	}
	r.Renewal, _ = a.advice(ctx, r.pair.Leaf) // two thirds of the lifetime without
	return r, nil
}

// notReplaced tells that an authority does not take a certificate as one that the
// order replaces: it does not know it, or another order was there first.
func notReplaced(err error) bool {
	var p acme.Problem
	return errors.As(err, &p) && (p.Type == acme.ProblemTypeAlreadyReplaced || p.Type == acme.ProblemTypeMalformed)
}

// talk gives the client, which knows the directory and has nonces.
func (a *authority) talk() *acmez.Client {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.client == nil {
		a.client = &acmez.Client{
			Client: &acme.Client{
				Directory: a.directory, HTTPClient: a.http, UserAgent: "goma-gateway",
				PollTimeout: orderTime, PollInterval: 500 * time.Millisecond,
			},
			ChallengeSolvers: a.solvers,
		}
	}
	return a.client
}

var errLocked = errors.New("another gateway is making the account")

// account gives the account of all replicas, and makes it the first time.
func (a *authority) account(ctx context.Context, client *acmez.Client) (*account, error) {
	key := a.place.account(a.email)
	found, ok, err := fetch(ctx, a.store, key, decodeAccount)
	if err != nil || ok {
		return found, err
	}
	ctx, unlock, err := a.lockAccount(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if found, ok, err = fetch(ctx, a.store, key, decodeAccount); err != nil || ok {
		return found, err
	}
	a.mu.Lock()
	known := a.known
	a.mu.Unlock()
	if known == nil { // else the store has lost it
		if known, err = a.register(ctx, client); err != nil {
			return nil, err
		}
	}
	data, err := json.Marshal(known)
	if err != nil {
		return nil, fmt.Errorf("encoding the account: %w", err)
	}
	if err := a.store.Save(ctx, key, data, keepAccount); err != nil {
		return nil, fmt.Errorf("saving the account: %w", err)
	}
	a.mu.Lock()
	a.known = known
	a.mu.Unlock()
	return known, nil
}

// lockAccount waits a little for others that make the account.
func (a *authority) lockAccount(ctx context.Context) (held context.Context, unlock func(), err error) {
	for range 60 {
		held, unlock, err := a.store.TryLock(ctx, "account-"+a.place.account(a.email))
		if err != nil {
			return nil, nil, fmt.Errorf("locking the account: %w", err)
		}
		if unlock != nil {
			return held, unlock, nil
		}
		timer := time.NewTimer(500 * time.Millisecond)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, nil, ctx.Err()
		case <-timer.C:
		}
	}
	return nil, nil, errLocked
}

func (a *authority) register(ctx context.Context, client *acmez.Client) (*account, error) {
	key, text, err := newKey("")
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	wish := acme.Account{Contact: []string{"mailto:" + a.email}, TermsOfServiceAgreed: true, PrivateKey: key}
	if a.binding != nil {
		if err := wish.SetExternalAccountBinding(ctx, client.Client, *a.binding); err != nil {
			return nil, fmt.Errorf("binding the account to the external one: %w", err)
		}
	}
	got, err := client.NewAccount(ctx, wish)
	if err != nil {
		return nil, fmt.Errorf("registering an account: %w", err)
	}
	got.PrivateKey = key
	return &account{Email: a.email, Key: string(text), Account: got}, nil
}

// forget takes out an account that the authority does not know.
func (a *authority) forget(ctx context.Context) error {
	a.mu.Lock()
	a.known = nil
	a.mu.Unlock()
	return a.store.Delete(ctx, a.place.account(a.email))
}

// The pauses between questions about renewal, where the authority names none.
const (
	askAgain = 6 * time.Hour
	askLater = 24 * time.Hour
	askSoon  = time.Minute
)

// advice implements issuer.
func (a *authority) advice(ctx context.Context, leaf *x509.Certificate) (*renewal, error) {
	info, err := a.talk().GetRenewalInfo(ctx, leaf)
	if errors.Is(err, acme.ErrUnsupported) {
		return &renewal{Ask: time.Now().Add(askLater)}, nil
	}
	if err != nil {
		return nil, err
	}
	next := time.Now().Add(askAgain)
	if info.RetryAfter != nil {
		next = *info.RetryAfter
	}
	next = later(next, time.Now().Add(askSoon))
	return &renewal{Start: info.SuggestedWindow.Start, End: info.SuggestedWindow.End, Ask: next}, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
