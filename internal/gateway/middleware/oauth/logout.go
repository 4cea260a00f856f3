// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/peer"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/setcookie"
)

// end ends a session: here, at the provider, and in the browser.
func (h *handler) end(w http.ResponseWriter, r *http.Request) {
	exchange.Of(r).Reason = "oauth_logout"
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		h.answer(w, r, &mistake{http.StatusMethodNotAllowed, ""})
		return
	}
	location := or(h.logoutRedirect, "/")
	s, known := h.recall(r)
	setcookie.Add(w.Header(), h.cookie.Clear(r.Header))
	// A provider that is away does not keep anybody from leaving.
	if m, err := h.provider.metadata(r.Context()); err == nil && known {
		h.provider.ended.Add(s.ID, time.Until(time.Unix(s.Until, 0)))
		if err := h.provider.revokes(r.Context(), m, s.Refresh); err != nil {
			h.warn("a refresh token cannot be revoked", r, err)
		}
		location = or(h.farewell(m), location)
	} else if known {
		h.provider.ended.Add(s.ID, time.Until(time.Unix(s.Until, 0)))
	}
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}

// farewell is the provider's page for logging out (OpenID Connect RP-Initiated
// Logout 1.0).
func (h *handler) farewell(m *metadata) string {
	u, err := url.Parse(m.endSession)
	if err != nil || m.endSession == "" {
		return ""
	}
	query := u.Query()
	query.Set("client_id", h.clientID)
	if h.logoutRedirect != "" {
		query.Set("post_logout_redirect_uri", h.origin+h.logoutRedirect)
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// revokes tells the provider that a refresh token is over (RFC 7009).
func (p *provider) revokes(ctx context.Context, m *metadata, token string) error {
	if m.revoke == "" || token == "" {
		return nil
	}
	ctx, cancel := p.with(ctx)
	defer cancel()
	form := url.Values{"token": {token}, "token_type_hint": {"refresh_token"}}
	if m.oauth.Endpoint.AuthStyle == oauth2.AuthStyleInParams {
		form.Set("client_id", p.clientID)
		form.Set("client_secret", p.clientSecret)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.revoke, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if m.oauth.Endpoint.AuthStyle != oauth2.AuthStyleInParams {
		r.SetBasicAuth(url.QueryEscape(p.clientID), url.QueryEscape(p.clientSecret)) // RFC 6749 §2.3.1
	}
	resp, err := p.http.Do(r)
	if err != nil {
		return peer.Cause(err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing more is wanted of it
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the provider answers %d", resp.StatusCode)
	}
	return nil
}
