// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package jwt lets requests pass that bring a signed token (RFC 7519), and tells the
// backend what the token says of its bearer.
//
// Which signatures are good is decided by the keys and by the rule, never by the
// token: one without a signature, or one that was signed with a public key taken for
// a shared secret, is refused. What a token says of where its key is (jku, x5u, jwk,
// x5c) is not looked at, and a token with critical extensions is refused, since none
// is understood.
package jwt

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/scope"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/spelling"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// header is one that the backend gets, and the claim that fills it.
type header struct{ name, claim string }

type rule struct {
	digest           [sha256.Size]byte
	keys             origin
	algorithms       []string
	issuer, audience string
	skew             time.Duration
	condition        condition
	headers          []header
	// identity are the names of the headers, removed those and what else the backend
	// does not get of a request that passes, in all spellings. P8
	identity, removed spelling.Names
}

// rememberedKey names what is remembered of good tokens: it is that of one rule.
type rememberedKey struct{ rule [sha256.Size]byte }

// Handler implements definition.Rule.
func (t *rule) Handler(b definition.Build, next http.Handler) (http.Handler, error) {
	covered, err := scope.Compile(b.Paths, b.Route.Path)
	if err != nil {
		return nil, err
	}
	keys, err := t.keys.open(b)
	if err != nil {
		return nil, err
	}
	good, release, err := pool.Get(b.Pool, rememberedKey{t.digest}, func() (*remembered, error) { return newRemembered(), nil })
	if err != nil {
		return nil, err
	}
	b.Track(release)
	return &handler{rule: t, covered: covered, verifier: newVerifier(t, keys, good), next: next}, nil
}

type handler struct {
	*rule

	covered  *scope.Scope
	verifier *verifier
	next     http.Handler
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.covered.Covers(r) {
		h.identity.Delete(r)
		h.next.ServeHTTP(w, r)
		return
	}
	token, err := bearer(r.Header)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	who, err := h.verifier.verify(r.Context(), token)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	h.removed.Delete(r)
	for i, header := range h.headers {
		if value := who.headers[i]; value != nil {
			r.Header[header.name] = value
		}
	}
	x := exchange.Of(r)
	x.Claim, x.Identified = who.claim, true
	h.next.ServeHTTP(w, r)
}

// refuse answers in place of the backend. Why a token is not good is not told to its
// bearer.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	x := exchange.Of(r)
	var why refusal
	switch {
	case errors.As(err, &why):
	case errors.Is(err, errAway), r.Context().Err() != nil:
		x.Reason = "jwt_keys"
		w.Header().Set("Retry-After", "5")
		reply.Error(w, r, http.StatusServiceUnavailable, "503 Service Unavailable: tokens cannot be verified")
		return
	default:
		why = invalid
	}
	x.Reason = "jwt"
	challenge := "Bearer"
	if why == invalid {
		challenge = `Bearer error="invalid_token"`
	}
	w.Header().Set("WWW-Authenticate", challenge) // RFC 6750 §3
	reply.Error(w, r, http.StatusUnauthorized, string(why))
}
