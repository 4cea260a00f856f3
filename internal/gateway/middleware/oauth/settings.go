// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"encoding/json"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

// Type is oauth, also called oauth2.
var Type = definition.Type{Names: []string{"oauth", "oauth2"}, Security: true, Scoped: true, Secrets: []string{"clientSecret", "sessionSecret"}, Parse: parse}

// Settings is the rule of an oauth middleware.
type Settings struct {
	// ClientID is the name of this client at the provider. Required.
	ClientID definition.Text `json:"clientId"`
	// ClientSecret is its secret. Required.
	ClientSecret definition.Text `json:"clientSecret"`
	// ClientSecretFrom names a Secret in place of it.
	ClientSecretFrom json.RawMessage `json:"clientSecretFrom"`
	// RedirectURL is where the provider sends the browser back. The gateway handles
	// its path on every route that uses the middleware. Required.
	RedirectURL definition.Text `json:"redirectUrl"`
	// Provider is google, gitlab, github, amazon, facebook or custom, which is the
	// default.
	Provider string `json:"provider"`
	// Issuer is the URL of an OpenID provider, which tells of its endpoints itself.
	Issuer definition.Text `json:"issuer"`
	// Endpoint are the URLs of a custom provider without an issuer, or in place of
	// those that it tells of.
	Endpoint Endpoint `json:"endpoint"`
	// Scopes are asked for. Default: openid, profile and email of an OpenID
	// provider, none of others.
	Scopes []string `json:"scopes"`
	// RedirectPath is where to go after login; the page that was asked for by
	// default.
	RedirectPath string `json:"redirectPath"`
	// CookiePath is the path of the session's cookie; that of the route by default.
	CookiePath string `json:"cookiePath"`
	// CookieDomain lets subdomains share the session; by default it is the host's.
	CookieDomain string `json:"cookieDomain"`
	// SessionSecret seals the session; clientSecret by default.
	SessionSecret definition.Text `json:"sessionSecret"`
	// SessionSecretFrom names a Secret in place of it.
	SessionSecretFrom json.RawMessage `json:"sessionSecretFrom"`
	// SessionTTL is how long a login is good for at most; 24h by default.
	SessionTTL config.Duration `json:"sessionTTL"`
	// ForwardHeaders are headers for the backend, each with the claim that fills it.
	ForwardHeaders map[string]string `json:"forwardHeaders"`
	// ForwardAccessToken sends the access token to the backend as Authorization.
	ForwardAccessToken bool `json:"forwardAccessToken"`
	// LogoutPath ends the session; by default there is none.
	LogoutPath string `json:"logoutPath"`
	// LogoutRedirect is where to go after that: a path, / by default.
	LogoutRedirect string `json:"logoutRedirect"`
	// RootCAs are the authorities of the provider's certificate, as PEM or base64 of
	// it; those of the system by default.
	RootCAs string `json:"rootCAs"`
	// InsecureSkipVerify accepts any certificate of the provider.
	InsecureSkipVerify bool `json:"insecureSkipVerify"`
	// State is accepted, and has no effect: each login has a random one.
	State definition.Text `json:"state"`
}

// Endpoint are the URLs of a provider.
type Endpoint struct {
	// AuthURL is where the user logs in.
	AuthURL definition.Text `json:"authUrl"`
	// TokenURL is where a code becomes a token.
	TokenURL definition.Text `json:"tokenUrl"`
	// UserInfoURL is where a token becomes claims.
	UserInfoURL definition.Text `json:"userInfoUrl"`
	// JWKSURL has the keys of ID tokens.
	JWKSURL definition.Text `json:"jwksUrl"`
}

const (
	defaultSession = 24 * time.Hour
	maxSession     = 90 * 24 * time.Hour
	// loginLasts is how long a user may take to log in.
	loginLasts = 10 * time.Minute
	// callTimeout bounds each call to the provider.
	callTimeout = 10 * time.Second
	// minSecretBytes of a session secret cannot be guessed from a cookie.
	minSecretBytes = 16
)

// presets are the providers that need no addresses.
var presets = map[string]preset{
	"custom": {},
	"google": {issuer: "https://accounts.google.com"},
	"gitlab": {issuer: "https://gitlab.com"},
	"github": {endpoint: Endpoint{
		AuthURL: "https://github.com/login/oauth/authorize", TokenURL: "https://github.com/login/oauth/access_token",
		UserInfoURL: "https://api.github.com/user",
	}, scopes: []string{"read:user", "user:email"}},
	"amazon": {endpoint: Endpoint{
		AuthURL: "https://www.amazon.com/ap/oa", TokenURL: "https://api.amazon.com/auth/o2/token",
		UserInfoURL: "https://api.amazon.com/user/profile",
	}, scopes: []string{"profile"}},
	"facebook": {endpoint: Endpoint{
		AuthURL: "https://www.facebook.com/v23.0/dialog/oauth", TokenURL: "https://graph.facebook.com/v23.0/oauth/access_token",
		UserInfoURL: "https://graph.facebook.com/me?fields=id,name,email",
	}, scopes: []string{"public_profile", "email"}},
}

type preset struct {
	issuer   string
	endpoint Endpoint
	scopes   []string
}
