// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package ldap asks for a user name and a password, and a directory whether they
// are right (RFC 4511): it searches the one entry of the name and binds as it.
//
// What the directory cannot answer, since it is away or refuses the searching
// entry, is 503 and no permission. An empty password never reaches it. Connections
// are kept, bounded in number and time, and replaced when the server restarts;
// credentials that were good a moment ago are not asked about again.
package ldap

import (
	"context"
	"crypto/sha256"
	"errors"
	"math"
	"net/http"
	"net/netip"
	"strconv"

	"golang.org/x/sync/singleflight"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/credentials"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/scope"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

type rule struct {
	account   account
	limit     limit
	challenge string
	forward   bool
	identity  [sha256.Size]byte
}

// stateKey names what is shared by all who have the same rule, and kept over
// reloads: connections, attempts, good credentials.
type stateKey struct{ rule [sha256.Size]byte }

// Handler implements definition.Rule.
func (l *rule) Handler(b definition.Build, next http.Handler) (http.Handler, error) {
	covered, err := scope.Compile(b.Paths, b.Route.Path)
	if err != nil {
		return nil, err
	}
	users, release, err := pool.Get(b.Pool, stateKey{l.identity}, func() (*users, error) { return newUsers(l.account, l.limit) })
	if err != nil {
		return nil, err
	}
	b.Track(release)
	return &handler{rule: l, build: b, covered: covered, users: users, next: next}, nil
}

type handler struct {
	*rule

	build   definition.Build
	covered *scope.Scope
	users   *users
	next    http.Handler
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.forward {
		credentials.Forget(r)
	}
	if !h.covered.Covers(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	name, password, ok := credentials.Of(r)
	if !ok {
		credentials.Refuse(w, r, h.challenge, reason)
		return
	}
	switch err := h.users.verify(r.Context(), exchange.Of(r).ClientIP, name, password); {
	case err == nil:
		if h.forward {
			credentials.Forward(r.Header, name)
		}
		exchange.Of(r).Identified = true
		h.next.ServeHTTP(w, r)
	case errors.Is(err, errWrong):
		credentials.Refuse(w, r, h.challenge, reason)
	case errors.Is(err, errTooMany):
		h.tooMany(w, r)
	default:
		h.undecided(w, r, err)
	}
}

const reason = "ldap"

func (h *handler) tooMany(w http.ResponseWriter, r *http.Request) {
	exchange.Of(r).Reason = "ldap_limit"
	w.Header().Set("WWW-Authenticate", h.challenge)
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(h.limit.ttl.Seconds()))))
	reply.Error(w, r, http.StatusTooManyRequests, "429 Too Many Requests")
}

// undecided answers for a directory that does not. A 401 would make browsers and
// clients forget good credentials.
func (h *handler) undecided(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil && h.build.Logger != nil {
		h.build.Logger.Warn("the directory gives no answer; the request is denied",
			"route", h.build.Route.Name, "middleware", h.build.Name, "host", h.account.host, "err", err)
	}
	exchange.Of(r).Reason = "ldap_unavailable"
	w.Header().Set("Retry-After", "5")
	reply.Error(w, r, http.StatusServiceUnavailable, "")
}

var (
	errWrong   = errors.New("wrong name or password")
	errTooMany = errors.New("too many attempts")
)

// users verifies credentials, and remembers those that are good. It is safe for
// concurrent use.
type users struct {
	directory *directory
	attempts  *attempts
	good      *credentials.Cache
	asking    singleflight.Group
}

func newUsers(a account, l limit) (*users, error) {
	d, err := newDirectory(a)
	if err != nil {
		return nil, err
	}
	return &users{directory: d, attempts: newAttempts(l), good: credentials.NewCache()}, nil
}

// Close closes the connections.
func (u *users) Close() { u.directory.Close() }

// verify gives nil, errWrong, errTooMany, or why nobody knows. Many requests with
// one credential, as a page makes them, ask once, and count as one attempt.
func (u *users) verify(ctx context.Context, client netip.Addr, name, password string) error {
	id := u.good.Identify(name, password)
	if u.good.Has(id) {
		return nil
	}
	// One client's leaving must not fail the others; every step has its own deadline.
	ctx = context.WithoutCancel(ctx)
	key := network(client).String() + string(id[:])
	_, err, _ := u.asking.Do(key, func() (any, error) { return nil, u.ask(ctx, client, id, name, password) })
	return err
}

func (u *users) ask(ctx context.Context, client netip.Addr, id credentials.ID, name, password string) error {
	if u.good.Has(id) {
		return nil
	}
	if !u.attempts.take(client) {
		return errTooMany
	}
	ctx, cancel := context.WithTimeout(ctx, 4*timeout)
	defer cancel()
	good, err := u.directory.verify(ctx, name, password)
	switch {
	case err != nil:
		return err
	case !good:
		return errWrong
	}
	u.good.Add(id)
	return nil
}
