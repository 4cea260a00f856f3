// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package oauth lets users log in at a provider, by OpenID Connect or plain OAuth 2:
// authorization code with PKCE (RFC 7636).
//
// Who a user is comes from the provider over the back channel only, and is kept in a
// cookie that is sealed with a key of the configuration: every replica can open it,
// nobody else can make one, and the backend never sees it. A token that somebody
// puts into a cookie is no login.
package oauth

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/peer"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/scope"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/session"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/setcookie"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/spelling"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// header is one that the backend gets, and the claim that fills it.
type header struct{ name, claim string }

type rule struct {
	digest                 [sha256.Size]byte
	clientID, clientSecret string
	issuer                 string
	google                 bool
	endpoint               Endpoint
	scopes                 []string
	peer                   peer.HTTP
	// redirectURL is where the provider sends browsers: callback is its path, origin
	// what stands before, secure whether it is https.
	redirectURL, callback, origin string
	secure                        bool
	redirectPath                  string
	cookiePath, cookieDomain      string
	secret                        string
	lasts                         time.Duration
	headers                       []header
	identity                      spelling.Names
	accessToken                   bool
	logout, logoutRedirect        string
}

// stateKey names what is shared by the routes that use one middleware, and kept over
// reloads.
type stateKey struct {
	middleware string
	rule       [sha256.Size]byte
}

// Handler implements definition.Rule.
func (o *rule) Handler(b definition.Build, next http.Handler) (http.Handler, error) {
	covered, err := scope.Compile(b.Paths, b.Route.Path)
	if err != nil {
		return nil, err
	}
	// A session is for one client of one provider and one middleware. M11
	sealer, err := session.NewSealer(o.secret, "oauth session 1", b.Name, o.clientID, o.issuer, string(o.endpoint.AuthURL))
	if err != nil {
		return nil, err
	}
	p, release, err := pool.Get(b.Pool, stateKey{b.Name, o.digest}, func() (*provider, error) { return newProvider(o) })
	if err != nil {
		return nil, err
	}
	b.Track(release)
	h := &handler{rule: o, build: b, covered: covered, sealer: sealer, provider: p, next: next}
	sum := sha256.Sum256([]byte(b.Name + "\x00" + o.clientID))
	h.name = "goma_oauth_" + hex.EncodeToString(sum[:4])
	h.loginName = h.name + "_login_"
	h.cookiePath = or(o.cookiePath, or(strings.TrimSuffix(b.Route.Path, "/"), "/"))
	if !here(h.cookiePath) {
		h.cookiePath = "/"
	}
	h.cookie = h.sessionCookie(h.cookiePath)
	return h, nil
}

type handler struct {
	*rule

	build    definition.Build
	covered  *scope.Scope
	sealer   *session.Sealer
	provider *provider
	next     http.Handler
	// name is that of the session's cookie, loginName the beginning of those of
	// logins; cookiePath is the path of the first on this route.
	name, loginName, cookiePath string
	cookie                      session.Cookie
}

func (h *handler) sessionCookie(path string) session.Cookie {
	return session.Cookie{Name: h.name, Path: path, Domain: h.cookieDomain, Secure: h.secure}
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := exchange.Of(r).Path; {
	case path == h.callback:
		h.finish(w, r)
	case path == h.logout && h.logout != "":
		h.end(w, r)
	case !h.covered.Covers(r):
		h.pass(w, r, nil, nil)
	default:
		h.protect(w, r)
	}
}

// protect lets requests of a session pass.
func (h *handler) protect(w http.ResponseWriter, r *http.Request) {
	s, ok := h.recall(r)
	if !ok {
		h.anonymous(w, r)
		return
	}
	now := time.Now()
	if !s.early(now) && !s.stale(now) {
		h.pass(w, r, s, nil)
		return
	}
	fresh, err := h.renewed(r, s)
	switch {
	case err == nil:
		lines, err := h.keep(h.cookie, r.Header, fresh)
		if err != nil {
			h.warn("a session cannot be kept", r, err)
		}
		h.pass(w, r, fresh, lines)
	case !s.stale(now) && !errors.Is(err, errRefused):
		h.pass(w, r, s, nil) // the provider is away, and what it said is still good
	default:
		h.anonymous(w, r)
	}
}

var errNoRefresh = errors.New("there is no refresh token")

func (h *handler) renewed(r *http.Request, s *state) (*state, error) {
	if s.Refresh == "" {
		return nil, errNoRefresh
	}
	fresh, err := h.provider.refresher.renewed(r.Context(), s)
	if err != nil {
		h.warn("a session cannot be refreshed", r, err)
	}
	return fresh, err
}

// pass lets a request through, with what the provider said of the user and nothing
// that the client says of itself. P8
func (h *handler) pass(w http.ResponseWriter, r *http.Request, s *state, lines []string) {
	h.identity.Delete(r)
	session.Strip(r.Header, h.mine) // M11
	if s != nil {
		exchange.Of(r).Identified = true
		for _, header := range h.headers {
			if text := s.Claims[header.claim]; text != "" {
				r.Header[header.name] = []string{text}
			}
		}
		if h.accessToken {
			r.Header["Authorization"] = []string{"Bearer " + s.Access}
		}
	}
	setcookie.Serve(h.next, w, r, lines)
}

// mine tells the cookies of this middleware, by any prefix.
func (h *handler) mine(name string) bool {
	return strings.HasPrefix(strings.TrimPrefix(strings.TrimPrefix(name, "__Host-"), "__Secure-"), h.name)
}

// anonymous sends people to the provider, and tells programs that they have to log
// in. A redirect of a form would send its content to the provider. M13
func (h *handler) anonymous(w http.ResponseWriter, r *http.Request) {
	if visits(r) {
		h.begin(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	h.answer(w, r, &mistake{http.StatusUnauthorized, ""})
}

// visits tells somebody who opens a page from a program that calls an API.
func visits(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.Header.Get("Upgrade") != "" ||
		r.Header.Get("X-Requested-With") != "" {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	accept := strings.ToLower(r.Header.Get("Accept"))
	return accept == "" || strings.Contains(accept, "text/html") || strings.Contains(accept, "*/*") && !strings.Contains(accept, "json")
}

const reason = "oauth"

// away answers while the provider cannot be asked.
func (h *handler) away(w http.ResponseWriter, r *http.Request, err error) {
	h.warn("nobody can log in", r, err)
	exchange.Of(r).Reason = "oauth_unavailable"
	w.Header().Set("Retry-After", "5")
	w.Header().Set("Cache-Control", "no-store")
	reply.Error(w, r, http.StatusServiceUnavailable, "")
}

func (h *handler) warn(message string, r *http.Request, err error) {
	if h.build.Logger != nil && r.Context().Err() == nil {
		h.build.Logger.Warn(message, "route", h.build.Route.Name, "middleware", h.build.Name, "err", err)
	}
}
