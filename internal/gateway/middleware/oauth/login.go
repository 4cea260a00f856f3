// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/peer"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/session"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/setcookie"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// login is one that has begun. It is sealed in a cookie of the browser, so that only
// this browser can end it: nobody can be logged in as somebody else. M9
type login struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	// Return is the page that was asked for, and CookiePath the path of the session
	// there: another route may take the answer.
	Return     string `json:"r"`
	CookiePath string `json:"p"`
	Expires    int64  `json:"e"`
}

const kindLogin = "login"

// The longest page that is remembered, and how many logins of one browser may be
// on their way.
const (
	maxReturnBytes = 1500
	mostLogins     = 8
)

// begin sends a browser to the provider.
func (h *handler) begin(w http.ResponseWriter, r *http.Request) {
	m, err := h.provider.metadata(r.Context())
	if err != nil {
		h.away(w, r, err)
		return
	}
	l := login{
		State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Return: h.page(r),
		CookiePath: h.cookiePath, Expires: time.Now().Add(loginLasts).Unix(),
	}
	plain, err := json.Marshal(l)
	if err != nil {
		h.away(w, r, err)
		return
	}
	lines, err := h.loginCookie(l.State).Set(nil, h.sealer.Seal(kindLogin, plain), loginLasts)
	if err != nil {
		h.away(w, r, err)
		return
	}
	options := append(m.nonceOf(l.Nonce), oauth2.S256ChallengeOption(l.Verifier))
	if h.google {
		options = append(options, oauth2.AccessTypeOffline) // or there is no refresh token
	}
	exchange.Of(r).Reason = reason
	setcookie.Add(w.Header(), lines)
	go307(w, m.oauth.AuthCodeURL(l.State, options...))
}

// page is where to go after login: a path of this host, whatever was asked for. M13
func (h *handler) page(r *http.Request) string {
	if h.redirectPath != "" {
		return h.redirectPath
	}
	page := exchange.Of(r).Path
	if r.URL.RawQuery != "" && len(page)+len(r.URL.RawQuery) < maxReturnBytes {
		page += "?" + r.URL.RawQuery
	}
	if len(page) > maxReturnBytes || strings.ContainsFunc(page, func(c rune) bool { return c <= ' ' || c > '~' }) {
		page = h.cookiePath
	}
	return definition.OnThisHost(page)
}

// loginCookie is that of one login: several may be on their way in one browser. Its
// path is the host's, for the sake of the __Host- prefix.
func (h *handler) loginCookie(state string) session.Cookie {
	sum := sha256.Sum256([]byte(state))
	return session.Cookie{Name: h.loginName + hex.EncodeToString(sum[:8]), Path: "/", Secure: h.secure}
}

// A mistake is an answer to a callback that is none of ours.
type mistake struct {
	status  int
	message string
}

var (
	badState   = &mistake{http.StatusBadRequest, "400 Invalid state"}
	noCode     = &mistake{http.StatusBadRequest, "400 Missing code"}
	refused    = &mistake{http.StatusForbidden, "403 The provider refuses the login"}
	noExchange = &mistake{http.StatusInternalServerError, "500 Failed to exchange token"}
)

// finish ends a login: the provider sent the browser back. It is never passed on to
// the backend. M12
func (h *handler) finish(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		h.answer(w, r, &mistake{http.StatusMethodNotAllowed, ""})
		return
	}
	query := r.URL.Query()
	l, wrong := h.returning(r, query)
	if wrong != nil {
		h.answer(w, r, wrong)
		return
	}
	setcookie.Add(w.Header(), h.loginsOver(r, l.State))
	code, wrong := codeOf(query)
	if wrong != nil {
		h.answer(w, r, wrong)
		return
	}
	s, err := h.provider.login(r.Context(), l, code, query.Get("iss"))
	if err != nil {
		h.warn("a login fails", r, err)
		h.answer(w, r, noExchange)
		return
	}
	cookie := h.sessionCookie(l.CookiePath)
	lines, err := h.keep(cookie, r.Header, s)
	if err != nil {
		h.warn("a session cannot be kept", r, err)
		h.answer(w, r, noExchange)
		return
	}
	setcookie.Add(w.Header(), lines)
	exchange.Of(r).Reason = reason
	w.Header().Set("Location", definition.OnThisHost(l.Return))
	w.WriteHeader(http.StatusSeeOther)
}

// returning finds the login that a callback belongs to: begun by this browser, not
// too long ago, and not finished before. M9
func (h *handler) returning(r *http.Request, query url.Values) (*login, *mistake) {
	if len(query["state"]) != 1 || query["state"][0] == "" {
		return nil, badState
	}
	state := query["state"][0]
	plain, ok := h.sealer.Open(kindLogin, h.loginCookie(state).Get(r.Header))
	if !ok {
		return nil, badState
	}
	var l login
	if err := json.Unmarshal(plain, &l); err != nil ||
		subtle.ConstantTimeCompare([]byte(l.State), []byte(state)) != 1 ||
		time.Now().Unix() >= l.Expires || !h.provider.used.Add(l.State, loginLasts) {
		return nil, badState
	}
	return &l, nil
}

func codeOf(query url.Values) (string, *mistake) {
	switch {
	case query.Get("error") == "access_denied":
		return "", refused
	case len(query["code"]) != 1 || query["code"][0] == "":
		return "", noCode
	}
	return query["code"][0], nil
}

// loginsOver makes the browser forget the login, and all of them when it has many.
func (h *handler) loginsOver(r *http.Request, state string) []string {
	all := session.Cookie{Name: h.loginName, Path: "/", Secure: h.secure}
	if all.Count(r.Header) > mostLogins {
		return all.ClearAll(r.Header)
	}
	return h.loginCookie(state).Clear(r.Header)
}

var errMixUp = errors.New("the answer comes from another issuer")

// login changes a code for a session.
func (p *provider) login(ctx context.Context, l *login, code, issuer string) (*state, error) {
	m, err := p.metadata(ctx)
	if err != nil {
		return nil, err
	}
	if issuer != "" && m.issuer != "" && issuer != m.issuer { // RFC 9207
		return nil, errMixUp
	}
	ctx, cancel := p.with(ctx)
	defer cancel()
	token, err := m.oauth.Exchange(ctx, code, oauth2.VerifierOption(l.Verifier))
	if err != nil {
		return nil, fmt.Errorf("changing the code for a token: %w", cause(err))
	}
	told, err := p.identify(ctx, m, token, l.Nonce)
	if err != nil {
		return nil, err
	}
	return p.newState(token, told), nil
}

// cause gives what went wrong at the token endpoint, without its body and without
// URLs. B5
func cause(err error) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return fmt.Errorf("the provider answers %d %q", statusOf(e), e.ErrorCode)
	}
	return peer.Cause(err)
}

func go307(w http.ResponseWriter, url string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", url)
	w.WriteHeader(http.StatusTemporaryRedirect)
}

func (h *handler) answer(w http.ResponseWriter, r *http.Request, m *mistake) {
	exchange.Of(r).Reason = reason
	reply.Error(w, r, m.status, m.message)
}
