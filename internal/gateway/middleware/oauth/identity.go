// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/peer"
)

var (
	errNoIDToken    = errors.New("the provider gave no ID token")
	errNonce        = errors.New("the ID token is that of another login")
	errAudience     = errors.New("the ID token is for another client")
	errIssuer       = errors.New("the ID token is of another issuer than authUrl; name the issuer in the rule")
	errOtherSubject = errors.New("the provider speaks of another user than before")
	errNoSubject    = errors.New("the provider names no user")
)

// identify gives the claims of the user that a token is for. They come over the back
// channel only: from an ID token that is checked in full, from the userinfo
// endpoint, or both. A provider that has neither tells nothing. M10
func (p *provider) identify(ctx context.Context, m *metadata, token *oauth2.Token, nonce string) (claims, error) {
	told, err := p.fromIDToken(ctx, m, token, nonce)
	if err != nil || m.userInfo == "" || told != nil && p.complete(told) {
		return told, err
	}
	more, err := p.fromUserInfo(ctx, m.userInfo, token.AccessToken)
	switch {
	case err != nil:
		return nil, err
	case more.subject() == "":
		return nil, errNoSubject
	case told == nil:
		return more, nil
	case more.subject() != told.subject(): // OpenID Connect Core §5.3.2
		return nil, errOtherSubject
	}
	for name, value := range more {
		if _, known := told[name]; !known {
			told[name] = value
		}
	}
	return told, nil
}

// complete tells whether nothing is missing that the backend is to learn.
func (p *provider) complete(c claims) bool {
	for _, h := range p.headers {
		if c.text(h.claim) == "" {
			return false
		}
	}
	return true
}

// fromIDToken gives nothing where the provider is none of OpenID.
func (p *provider) fromIDToken(ctx context.Context, m *metadata, token *oauth2.Token, nonce string) (claims, error) {
	raw, _ := token.Extra("id_token").(string)
	switch {
	case m.verifier == nil:
		return nil, nil
	case raw == "" && m.issuer != "":
		return nil, errNoIDToken
	case raw == "":
		return nil, nil
	}
	return p.verified(ctx, m, raw, nonce)
}

// verified checks an ID token: signature, issuer, audience, times, and that it is of
// this login. An empty nonce is that of a refresh, which has none.
func (p *provider) verified(ctx context.Context, m *metadata, raw, nonce string) (claims, error) {
	id, err := m.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("the ID token is refused: %w", peer.Cause(err))
	}
	var body struct {
		AZP string `json:"azp"`
	}
	var rest jsonClaims
	if err := errors.Join(id.Claims(&body), id.Claims(&rest)); err != nil {
		return nil, err
	}
	switch {
	case m.issuer == "" && p.issuer == "" && !sameOrigin(id.Issuer, m.oauth.Endpoint.AuthURL):
		return nil, errIssuer
	case body.AZP != "" && body.AZP != p.clientID, len(id.Audience) > 1 && body.AZP == "":
		return nil, errAudience
	case nonce != "" && subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(nonce)) != 1:
		return nil, errNonce
	case id.Subject == "":
		return nil, errNoSubject
	}
	return claims(rest), nil
}

// jsonClaims keep the digits of numbers.
type jsonClaims claims

// UnmarshalJSON implements json.Unmarshaler.
func (c *jsonClaims) UnmarshalJSON(data []byte) error {
	read, err := decodeClaims(data)
	*c = jsonClaims(read)
	return err
}

// fromUserInfo asks whom an access token is for.
func (p *provider) fromUserInfo(ctx context.Context, url, token string) (claims, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Accept", "application/json")
	resp, err := p.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking for the user: %w", peer.Cause(err))
	}
	defer resp.Body.Close() //nolint:errcheck // what matters is whether reading ended well
	data, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return nil, fmt.Errorf("asking for the user: %w", err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("asking for the user: the provider answers %d", resp.StatusCode)
	}
	told, err := decodeClaims(data)
	if err != nil {
		return nil, errors.New("asking for the user: the answer is no JSON object")
	}
	return told, nil
}

// nonceOf puts the nonce of a login into its address, where the provider is one of
// OpenID.
func (m *metadata) nonceOf(nonce string) []oauth2.AuthCodeOption {
	if m.verifier == nil {
		return nil
	}
	return []oauth2.AuthCodeOption{oidc.Nonce(nonce)}
}
