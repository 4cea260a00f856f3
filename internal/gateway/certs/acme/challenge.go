// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package acme

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
)

// ChallengePath starts the paths of HTTP-01.
const ChallengePath = "/.well-known/acme-challenge/"

// Protocol is what an authority speaks that asks by TLS-ALPN-01.
const Protocol = acmez.ACMETLS1Protocol

// keepChallenge is how long a challenge may take.
const keepChallenge = time.Hour

// challenges puts challenges where all replicas find them, and takes them away.
type challenges struct {
	store Store
	key   func(acme.Challenge) string
}

var _ acmez.Solver = challenges{}

func byToken(c acme.Challenge) string { return tokenKey(c.Token) }
func byHost(c acme.Challenge) string  { return alpnKey(c.Identifier.Value) }

// Present implements acmez.Solver.
func (c challenges) Present(ctx context.Context, challenge acme.Challenge) error {
	data, err := json.Marshal(challenge)
	if err != nil {
		return fmt.Errorf("encoding a challenge: %w", err)
	}
	return c.store.Save(ctx, c.key(challenge), data, keepChallenge)
}

// CleanUp implements acmez.Solver.
func (c challenges) CleanUp(ctx context.Context, challenge acme.Challenge) error {
	return c.store.Delete(context.WithoutCancel(ctx), c.key(challenge))
}

func decodeChallenge(data []byte) (c acme.Challenge, err error) { return c, json.Unmarshal(data, &c) }

// lookTime bounds a look for a challenge.
const lookTime = time.Second

// find gives a challenge in progress for a host that is ours.
func (m *Manager) find(ctx context.Context, kind, host, key string) (challenge acme.Challenge, ok bool) {
	if !m.challenged(host, kind) {
		return challenge, false
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	challenge, ok, err := fetch(ctx, m.store, key, decodeChallenge)
	if err != nil {
		m.log.Warn("a challenge could not be looked up", "host", host, "err", err)
		return challenge, false
	}
	return challenge, ok && strings.EqualFold(challenge.Identifier.Value, host)
}

const maxTokenBytes = 256

// Answer gives what an authority wants to see at a path of HTTP-01. It is false for
// a token that is not in progress here, which is a request like any other. A8
func (m *Manager) Answer(ctx context.Context, host, path string) (text string, ok bool) {
	token, ok := strings.CutPrefix(path, ChallengePath)
	if m == nil || !ok || !tokenLike(token) {
		return "", false
	}
	name, _ := normal.SplitPort(host)
	c, ok := m.find(ctx, acme.ChallengeTypeHTTP01, name, tokenKey(token))
	if !ok || subtle.ConstantTimeCompare([]byte(c.Token), []byte(token)) != 1 {
		return "", false
	}
	return c.KeyAuthorization, true
}

// tokenLike takes what base64 for URLs is made of.
func tokenLike(token string) bool {
	for _, c := range []byte(token) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return token != "" && len(token) <= maxTokenBytes
}

// Claims tells whether a path may be that of a challenge.
func (m *Manager) Claims(path string) bool { return m != nil && strings.HasPrefix(path, ChallengePath) }

// Challenges answers tokens in progress and leaves everything else to next. It comes
// before routes, and so before redirects, logins and limits. A8
func (m *Manager) Challenges(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchange.Of(r)
		if !m.Claims(x.Path) || r.Method != http.MethodGet && r.Method != http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		text, ok := m.Answer(r.Context(), x.Host, x.Path)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Cache-Control", "no-store")
		if r.Method == http.MethodGet {
			_, _ = w.Write([]byte(text)) // nobody is there to be told
		}
	})
}

var errNoChallenge = errors.New("no challenge is in progress for this name")

// Challenged gives the configuration for a handshake by which an authority asks; nil
// for every other handshake. A6
func (m *Manager) Challenged(h *tls.ClientHelloInfo) (*tls.Config, error) {
	if m == nil || len(h.SupportedProtos) != 1 || h.SupportedProtos[0] != Protocol {
		return nil, nil //nolint:nilnil // no configuration is what is meant
	}
	host, ctx := strings.ToLower(h.ServerName), h.Context()
	if ctx == nil {
		ctx = context.Background() // a hello that no connection has made
	}
	c, ok := m.find(ctx, acme.ChallengeTypeTLSALPN01, host, alpnKey(host))
	if !ok {
		return nil, errNoChallenge
	}
	pair, err := acmez.TLSALPN01ChallengeCert(c)
	if err != nil {
		return nil, fmt.Errorf("making the certificate of a challenge: %w", err)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{Protocol}, Certificates: []tls.Certificate{*pair},
		SessionTicketsDisabled: true,
	}, nil
}
