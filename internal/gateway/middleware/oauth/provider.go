// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/peer"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/session"
)

// provider is where users log in, and what we remember of that. It is shared by
// the routes that use one middleware, and kept over reloads. It is safe for
// concurrent use.
type provider struct {
	*rule

	http *peer.Client
	// used are the states of logins that came back, ended the sessions that were
	// logged out.
	used, ended session.Seen
	refresher   refresher

	current     atomic.Pointer[metadata]
	discovering singleflight.Group

	mu sync.Mutex

	// failed is when the issuer was last asked in vain.
	failed time.Time
}

// metadata is what is known of the provider's endpoints.
type metadata struct {
	oauth *oauth2.Config
	// verifier checks ID tokens; nil when the provider has none that could be.
	verifier                     *oidc.IDTokenVerifier
	issuer                       string
	userInfo, endSession, revoke string
	expires                      time.Time
}

const (
	// metadataLasts is how long what an issuer told is good for.
	metadataLasts = time.Hour
	// askAgain is how long an issuer is left alone that did not answer.
	askAgain = 2 * time.Second
	// skew is how far the clocks may be apart.
	skew = time.Minute
)

func newProvider(r *rule) (*provider, error) {
	client, err := peer.NewClient(r.peer)
	if err != nil {
		return nil, err
	}
	p := &provider{rule: r, http: client}
	p.refresher.refresh = p.refresh
	if r.issuer == "" {
		p.current.Store(p.described())
	}
	return p, nil
}

// Close lets go of connections.
func (p *provider) Close() { p.http.Close() }

// with gives a context whose calls are ours, and end in time. The client's leaving
// does not end them: a code and a refresh token are good once.
func (p *provider) with(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	return oidc.ClientContext(ctx, p.http.Client), cancel
}

var errAway = errors.New("the issuer does not answer")

// metadata gives the endpoints. The issuer is asked when a login needs it, and not
// at the start; while it is away, what it told before is good.
func (p *provider) metadata(ctx context.Context) (*metadata, error) {
	m := p.current.Load()
	if m != nil && (m.expires.IsZero() || time.Now().Before(m.expires)) {
		return m, nil
	}
	found, err, _ := p.discovering.Do("", func() (any, error) { return p.discover(ctx) })
	switch {
	case err == nil:
		return found.(*metadata), nil
	case m != nil:
		return m, nil
	}
	return nil, err
}

func (p *provider) discover(ctx context.Context) (*metadata, error) {
	p.mu.Lock()
	wait := time.Since(p.failed) < askAgain
	p.mu.Unlock()
	if wait {
		return nil, errAway
	}
	ctx, cancel := p.with(ctx)
	defer cancel()
	m, err := p.told(ctx)
	if err != nil {
		p.mu.Lock()
		p.failed = time.Now()
		p.mu.Unlock()
		return nil, fmt.Errorf("asking the issuer: %w", peer.Cause(err))
	}
	p.current.Store(m)
	return m, nil
}

// told asks the issuer (OpenID Connect Discovery 1.0).
func (p *provider) told(ctx context.Context) (*metadata, error) {
	issuer, err := oidc.NewProvider(ctx, p.issuer)
	if err != nil {
		return nil, err
	}
	var document struct {
		EndSession  string   `json:"end_session_endpoint"`
		Revocation  string   `json:"revocation_endpoint"`
		UserInfo    string   `json:"userinfo_endpoint"`
		AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := issuer.Claims(&document); err != nil {
		return nil, err
	}
	m := p.described()
	m.issuer, m.expires, m.endSession, m.revoke = p.issuer, time.Now().Add(metadataLasts), document.EndSession, document.Revocation
	endpoint := issuer.Endpoint()
	m.oauth.Endpoint.AuthURL = or(m.oauth.Endpoint.AuthURL, endpoint.AuthURL)
	m.oauth.Endpoint.TokenURL = or(m.oauth.Endpoint.TokenURL, endpoint.TokenURL)
	m.userInfo = or(m.userInfo, document.UserInfo)
	// Without a word on it, RFC 8414 says Basic.
	m.oauth.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if len(document.AuthMethods) > 0 && !slices.Contains(document.AuthMethods, "client_secret_basic") {
		m.oauth.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	if m.verifier == nil {
		m.verifier = issuer.Verifier(p.verification())
	}
	return m, nil
}

func or(first, second string) string {
	if first != "" {
		return first
	}
	return second
}

// described are the endpoints that the rule names.
func (p *provider) described() *metadata {
	m := &metadata{userInfo: string(p.endpoint.UserInfoURL), oauth: &oauth2.Config{
		ClientID: p.clientID, ClientSecret: p.clientSecret, RedirectURL: p.redirectURL, Scopes: p.scopes,
		Endpoint: oauth2.Endpoint{AuthURL: string(p.endpoint.AuthURL), TokenURL: string(p.endpoint.TokenURL)},
	}}
	if p.endpoint.JWKSURL != "" {
		c := p.verification()
		c.SupportedSigningAlgs = signatures
		c.SkipIssuerCheck = p.issuer == "" // then it is ours to check, in verified
		keys := oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), p.http.Client), string(p.endpoint.JWKSURL))
		m.verifier = oidc.NewVerifier(p.issuer, keys, c)
	}
	return m
}

// signatures are those of public keys: a key set holds no others. M10
var signatures = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
}

func (p *provider) verification() *oidc.Config {
	return &oidc.Config{ClientID: p.clientID, Now: func() time.Time { return time.Now().Add(-skew) }}
}

// sameOrigin tells whether two URLs are of one server.
func sameOrigin(a, b string) bool {
	x, err := url.Parse(a)
	y, err2 := url.Parse(b)
	return err == nil && err2 == nil && x.Scheme == y.Scheme && x.Host == y.Host && x.Host != ""
}
