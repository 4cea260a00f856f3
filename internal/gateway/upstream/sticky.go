// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
)

// sticky keeps clients at their endpoints by a cookie. Its value is a word for the
// endpoint that tells nothing of its address and that all replicas know: a client
// can change it, and so choose among the endpoints of the route, but to nothing
// else. Nil is not sticky.
type sticky struct {
	name     string
	template http.Cookie
}

func newSticky(route string, c *config.StickyCookie) *sticky {
	s := &sticky{name: c.Name, template: http.Cookie{
		Path: c.Path, Domain: c.Domain, MaxAge: c.MaxAge, Secure: c.Secure,
		HttpOnly: c.HTTPOnly == nil || *c.HTTPOnly, SameSite: http.SameSiteLaxMode,
	}}
	if s.name == "" {
		// Routes of one host must not overwrite each other's cookie.
		s.name = "goma_" + word(route)
	}
	if s.template.Path == "" {
		s.template.Path = "/"
	}
	switch strings.ToLower(c.SameSite) {
	case "strict":
		s.template.SameSite = http.SameSiteStrictMode
	case "none":
		s.template.SameSite = http.SameSiteNoneMode
	}
	s.template.Name = s.name
	return s
}

func word(of string) string {
	sum := sha256.Sum256([]byte(of))
	return hex.EncodeToString(sum[:8])
}

// mark gives an endpoint its word, and the cookies that hold it.
func (s *sticky) mark(e *Endpoint, route string) {
	if s == nil {
		return
	}
	e.word = word(route + "\x00" + e.name + e.path)
	cookie := s.template
	cookie.Value = e.word
	e.cookie = cookie.String()
	cookie.Secure = true
	e.secureCookie = cookie.String()
}

// of gives the endpoint that the client of a request had before, while it is in
// service: also one that gets no new clients, since its weight is 0.
func (s *sticky) of(sel *selection, q Request) *Endpoint {
	if s == nil {
		return nil
	}
	word := q.Cookie(s.name)
	if word == "" {
		return nil
	}
	for i, e := range sel.c.pool {
		if e.word != word || e == sel.except {
			continue
		}
		drained := sel.weighted && e.backend.Weight == 0 && e.available() && e.matches(q)
		if sel.has(i) || drained {
			return e
		}
	}
	return nil
}

// Cookie gives what to set so that the client comes back to e; empty when it will
// anyway. secure says that the client uses HTTPS.
func (c *Cluster) Cookie(q Request, e *Endpoint, secure bool) string {
	if c.sticky == nil || e.word == "" || q.Cookie(c.sticky.name) == e.word {
		return ""
	}
	if secure {
		return e.secureCookie
	}
	return e.cookie
}
