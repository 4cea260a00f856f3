// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/peer"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/spelling"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
)

// reading is a rule on its way: what is read, and what is wrong with it.
type reading struct {
	Settings

	out      *rule
	problems []config.Problem
}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	r := &reading{out: &rule{digest: sha256.Sum256(raw)}}
	r.problems = definition.Decode(raw, &r.Settings)
	if config.HasErrors(r.problems) {
		return nil, r.problems
	}
	r.client()
	r.provider()
	r.paths()
	r.session()
	r.forwarded()
	if r.State != "" {
		r.ignored("state", config.SeverityNote, "has no effect: each login has a random state of its own")
	}
	if config.HasErrors(r.problems) {
		return nil, r.problems
	}
	return r.out, r.problems
}

func (r *reading) invalid(field, format string, args ...any) {
	r.problems = append(r.problems, definition.Invalid(field, format, args...))
}

func (r *reading) ignored(field string, severity config.Severity, message string) {
	r.problems = append(r.problems, config.Problem{Field: "rule." + field, Reason: config.ReasonIgnored, Severity: severity, Message: message})
}

// set tells whether a text can be used: it holds no variable without a value. C2
func (r *reading) set(field string, text definition.Text) bool {
	name := config.Unresolved(string(text))
	if name != "" {
		r.problems = append(r.problems, definition.Unset(field, name))
	}
	return name == ""
}

// client reads who we are at the provider.
func (r *reading) client() {
	if r.set("clientId", r.ClientID) && r.ClientID == "" {
		r.invalid("clientId", "is missing; it is the name that the provider gave to this client")
	}
	switch {
	case !r.set("clientSecret", r.ClientSecret):
	case r.ClientSecret == "" && len(r.ClientSecretFrom) > 0:
		r.problems = append(r.problems, definition.Unread("clientSecret"))
	case r.ClientSecret == "":
		r.invalid("clientSecret", "is missing; it is the secret that the provider gave to this client")
	}
	r.out.clientID, r.out.clientSecret = string(r.ClientID), string(r.ClientSecret)
	r.out.peer = peer.HTTP{
		Trust:   peer.Trust{Roots: r.RootCAs, Any: r.InsecureSkipVerify},
		Timeout: callTimeout, Proxied: true,
	}
	if _, err := r.out.peer.Config(); err != nil {
		r.invalid("rootCAs", "%v", err)
	}
	r.redirect()
}

// redirect reads where the provider sends the browser back. M12
func (r *reading) redirect() {
	if !r.set("redirectUrl", r.RedirectURL) {
		return
	}
	u, err := url.Parse(string(r.RedirectURL))
	if err != nil || !absolute(u) || u.Fragment != "" || u.User != nil {
		r.invalid("redirectUrl", "must be a URL of this gateway, such as https://app.example.com/oauth2/callback")
		return
	}
	path, err := normal.Path(u.EscapedPath())
	if err != nil || path == "/" || path == "" {
		r.invalid("redirectUrl", "must have a path of its own, such as /oauth2/callback")
		return
	}
	r.out.redirectURL, r.out.callback, r.out.secure = string(r.RedirectURL), path, u.Scheme == "https"
	r.out.origin = u.Scheme + "://" + u.Host
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		r.ignored("redirectUrl", config.SeverityWarning, "is not https: whoever is on the way can take over sessions")
	}
	if d := strings.ToLower(strings.TrimPrefix(r.CookieDomain, ".")); d != "" {
		if host := strings.ToLower(u.Hostname()); host != d && !strings.HasSuffix(host, "."+d) || !strings.Contains(d, ".") {
			r.invalid("cookieDomain", "must be the host of redirectUrl, or a domain that it is in")
		}
		r.out.cookieDomain = d
	}
}

// provider reads where the provider is: an issuer, or a login page and a place for
// tokens.
func (r *reading) provider() {
	known, ok := presets[strings.ToLower(r.Provider)]
	if r.Provider != "" && !ok {
		r.invalid("provider", "unknown value %q; use %s", r.Provider, strings.Join(slices.Sorted(maps.Keys(presets)), ", "))
		return
	}
	r.out.google = strings.EqualFold(r.Provider, "google")
	r.out.issuer = string(r.Issuer)
	if r.Issuer == "" && r.Endpoint.TokenURL == "" {
		r.out.issuer = known.issuer
	}
	r.out.endpoint = overlay(known.endpoint, r.Endpoint)
	r.addresses()
	r.out.scopes = r.Scopes
	if r.out.scopes == nil {
		r.out.scopes = known.scopes
	}
	if r.out.issuer != "" && r.out.scopes == nil {
		r.out.scopes = []string{"openid", "profile", "email"}
	}
	if r.out.issuer != "" && !slices.Contains(r.out.scopes, "openid") {
		r.out.scopes = append([]string{"openid"}, r.out.scopes...)
	}
	for i, scope := range r.out.scopes {
		if scope == "" || strings.ContainsFunc(scope, func(c rune) bool { return c <= ' ' || c == '"' || c == '\\' || c > '~' }) {
			r.invalid(fmt.Sprintf("scopes[%d]", i), "%q is not the name of a scope (RFC 6749 §3.3)", scope)
		}
	}
}

func (r *reading) addresses() {
	e := r.out.endpoint
	for _, a := range []struct {
		field string
		value definition.Text
	}{
		{"issuer", r.Issuer}, {"endpoint.authUrl", e.AuthURL}, {"endpoint.tokenUrl", e.TokenURL},
		{"endpoint.userInfoUrl", e.UserInfoURL}, {"endpoint.jwksUrl", e.JWKSURL},
	} {
		if a.value == "" || !r.set(a.field, a.value) {
			continue
		}
		if u, err := url.Parse(string(a.value)); err != nil || !absolute(u) || u.Fragment != "" {
			r.invalid(a.field, "must be a URL that begins with http:// or https://")
		}
	}
	switch {
	case r.out.issuer != "":
	case e.AuthURL == "":
		r.invalid("endpoint.authUrl", "is missing; name the issuer of an OpenID provider, or the endpoints of another one")
	case e.TokenURL == "":
		r.invalid("endpoint.tokenUrl", "is missing; name the issuer of an OpenID provider, or the endpoints of another one")
	}
}

func overlay(base, over Endpoint) Endpoint {
	pick := func(over, base definition.Text) definition.Text {
		if over != "" {
			return over
		}
		return base
	}
	return Endpoint{
		AuthURL: pick(over.AuthURL, base.AuthURL), TokenURL: pick(over.TokenURL, base.TokenURL),
		UserInfoURL: pick(over.UserInfoURL, base.UserInfoURL), JWKSURL: pick(over.JWKSURL, base.JWKSURL),
	}
}

func absolute(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// paths reads the paths of this host. M13
func (r *reading) paths() {
	for _, p := range []struct{ field, value string }{
		{"redirectPath", r.RedirectPath}, {"cookiePath", r.CookiePath}, {"logoutPath", r.LogoutPath}, {"logoutRedirect", r.LogoutRedirect},
	} {
		if p.value != "" && !here(p.value) {
			r.invalid(p.field, "must be a path on this host, such as /app")
		}
	}
	r.out.redirectPath, r.out.cookiePath, r.out.logoutRedirect = r.RedirectPath, r.CookiePath, r.LogoutRedirect
	if r.LogoutPath == "" {
		if r.LogoutRedirect != "" {
			r.ignored("logoutRedirect", config.SeverityWarning, "has no effect without logoutPath")
		}
		return
	}
	path, err := normal.Path(r.LogoutPath)
	if err != nil || path == "/" || path == r.out.callback {
		r.invalid("logoutPath", "must be a path of its own, such as /logout")
	}
	r.out.logout = path
}

// here tells a path of this host from what browsers take for another host.
func here(path string) bool {
	return path[0] == '/' && !strings.HasPrefix(path, "//") &&
		!strings.ContainsFunc(path, func(c rune) bool { return c <= ' ' || c > '~' || c == '\\' || c == ';' })
}

// session reads how a login is kept.
func (r *reading) session() {
	r.out.secret = string(r.ClientSecret)
	switch {
	case !r.set("sessionSecret", r.SessionSecret):
	case r.SessionSecret == "" && len(r.SessionSecretFrom) > 0:
		r.problems = append(r.problems, definition.Unread("sessionSecret"))
	case r.SessionSecret != "" && len(r.SessionSecret) < minSecretBytes:
		r.invalid("sessionSecret", "is too short; use at least %d bytes, such as openssl rand -base64 32 gives", minSecretBytes)
	case r.SessionSecret != "":
		r.out.secret = string(r.SessionSecret)
	}
	r.out.lasts = r.SessionTTL.Std()
	switch {
	case r.out.lasts == 0:
		r.out.lasts = defaultSession
	case r.out.lasts < 0 || r.out.lasts > maxSession:
		r.invalid("sessionTTL", "must be more than 0 and at most %s", maxSession)
	}
}

// taken are headers that no claim may fill: those of the connection.
var taken = []string{"Connection", "Content-Length", "Cookie", "Expect", "Host", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// forwarded reads what the backend learns. P8
func (r *reading) forwarded() {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(r.ForwardHeaders)) {
		canonical, claim := http.CanonicalHeaderKey(name), r.ForwardHeaders[name]
		switch {
		case !httpguts.ValidHeaderFieldName(name) || slices.Contains(taken, canonical):
			r.invalid("forwardHeaders."+name, "is not a header that can be set")
		case claim == "":
			r.invalid("forwardHeaders."+name, "names no claim")
		}
		names = append(names, canonical)
		r.out.headers = append(r.out.headers, header{canonical, claim})
	}
	e := r.out.endpoint
	if len(names) > 0 && r.out.issuer == "" && e.JWKSURL == "" && e.UserInfoURL == "" {
		r.invalid("forwardHeaders", "needs claims; name the issuer, or endpoint.userInfoUrl")
	}
	r.out.accessToken = r.ForwardAccessToken
	if r.ForwardAccessToken {
		if slices.Contains(names, "Authorization") {
			r.invalid("forwardHeaders.Authorization", "is taken by forwardAccessToken")
		}
		names = append(names, "Authorization")
	}
	r.out.identity = spelling.Of(names...)
}
