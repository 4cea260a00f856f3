// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/session"
)

// state is a login that was good, as it is sealed in the browser. Times are seconds
// since 1970.
type state struct {
	ID      string `json:"i"`
	Subject string `json:"s,omitempty"`
	// Claims are those that the backend learns, by their paths; one that the user
	// does not have is empty.
	Claims map[string]string `json:"c,omitempty"`
	// Access is kept only if the backend gets it.
	Access  string `json:"a,omitempty"`
	Refresh string `json:"r,omitempty"`
	// Issued and Expires are those of the tokens, Until the end of the session.
	Issued  int64 `json:"t"`
	Expires int64 `json:"e"`
	Until   int64 `json:"u"`
}

const kindSession = "session"

// newState begins a session.
func (p *provider) newState(token *oauth2.Token, told claims) *state {
	s := &state{ID: rand.Text(), Until: time.Now().Add(p.lasts).Unix()}
	p.learn(s, told)
	p.renew(s, token)
	return s
}

// learn puts what the provider said of the user into a session.
func (p *provider) learn(s *state, told claims) {
	s.Subject, s.Claims = told.subject(), make(map[string]string, len(p.headers))
	for _, h := range p.headers {
		s.Claims[h.claim] = told.text(h.claim)
	}
}

// renew puts new tokens into a session. Without a word of the provider on how long
// they are good, they are as long as the session.
func (p *provider) renew(s *state, token *oauth2.Token) {
	s.Issued, s.Expires = time.Now().Unix(), s.Until
	if !token.Expiry.IsZero() {
		s.Expires = min(s.Until, token.Expiry.Unix())
	}
	if token.RefreshToken != "" {
		s.Refresh = token.RefreshToken
	}
	if p.accessToken {
		s.Access = token.AccessToken
	}
}

// keep gives the cookies of a session.
func (h *handler) keep(c session.Cookie, request http.Header, s *state) ([]string, error) {
	plain, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return c.Set(request, h.sealer.Seal(kindSession, plain), time.Until(time.Unix(s.Until, 0)))
}

// recall gives the session of a request: one that we sealed, that has not ended, and
// that knows all that the backend is to learn. M10
func (h *handler) recall(r *http.Request) (*state, bool) {
	text := h.cookie.Get(r.Header)
	if text == "" {
		return nil, false
	}
	plain, ok := h.sealer.Open(kindSession, text)
	if !ok {
		return nil, false
	}
	var s state
	if json.Unmarshal(plain, &s) != nil || s.ID == "" || time.Now().Unix() >= s.Until || h.provider.ended.Has(s.ID) {
		return nil, false
	}
	for _, header := range h.headers {
		if _, known := s.Claims[header.claim]; !known {
			return nil, false
		}
	}
	return &s, !h.accessToken || s.Access != ""
}

// stale tells whether the tokens have expired, and early whether they are about to.
func (s *state) stale(now time.Time) bool { return now.Unix() >= s.Expires }

func (s *state) early(now time.Time) bool {
	margin := min(30, (s.Expires-s.Issued)/4)
	return s.Expires < s.Until && now.Unix() >= s.Expires-margin
}
