// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	testClient = "client"
	testSecret = "the client's secret"
)

var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// issuer is an OpenID provider that is strict with us, and lies when told to. It
// logs in whoever comes.
type issuer struct {
	*httptest.Server

	t  *testing.T
	mu sync.Mutex

	// plain is a provider of OAuth 2 alone: opaque tokens, no discovery.
	plain bool
	// down answers 503 to everything.
	down bool
	// claims replace those of the ID token, and of the userinfo endpoint.
	claims, userInfo map[string]any
	// sign replaces how ID tokens are signed.
	sign func(claims []byte) string
	// lasts is how long access tokens do; 0 is unsaid.
	lasts time.Duration

	codes     map[string]url.Values
	refreshes map[string]bool
	logins    int
	refreshed int
	revoked   []string
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{t: t, codes: map[string]url.Values{}, refreshes: map[string]bool{}, lasts: time.Hour}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /auth", i.authorize)
	mux.HandleFunc("POST /token", i.token)
	mux.HandleFunc("GET /userinfo", i.user)
	mux.HandleFunc("GET /keys", i.keys)
	mux.HandleFunc("POST /revoke", i.revoke)
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(i.Close)
	return i
}

// set changes how the provider behaves.
func (i *issuer) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

func (i *issuer) write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		i.t.Error(err)
	}
}

func (i *issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	i.write(w, http.StatusOK, map[string]any{
		"issuer": i.URL, "authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
		"userinfo_endpoint": i.URL + "/userinfo", "revocation_endpoint": i.URL + "/revoke", "end_session_endpoint": i.URL + "/bye",
		"id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

func (i *issuer) authorize(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	for _, name := range []string{"state", "code_challenge", "redirect_uri"} {
		if len(query.Get(name)) < 20 {
			i.t.Errorf("%s is %q", name, query.Get(name))
		}
	}
	if query.Get("client_id") != testClient || query.Get("response_type") != "code" || query.Get("code_challenge_method") != "S256" {
		i.t.Errorf("a strange login: %v", query)
	}
	if !i.plain && len(query.Get("nonce")) < 20 {
		i.t.Errorf("nonce is %q", query.Get("nonce"))
	}
	i.logins++
	code := rand.Text()
	i.codes[code] = query
	back := query.Get("redirect_uri") + "?" + url.Values{"code": {code}, "state": {query.Get("state")}, "iss": {i.URL}}.Encode()
	http.Redirect(w, r, back, http.StatusFound)
}

func (i *issuer) client(w http.ResponseWriter, r *http.Request) bool {
	id, secret, _ := r.BasicAuth()
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	if id == testClient && secret == testSecret {
		return true
	}
	i.write(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
	return false
}

func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	if !i.client(w, r) {
		return
	}
	nonce := ""
	switch r.FormValue("grant_type") {
	case "authorization_code":
		login, ok := i.codes[r.FormValue("code")]
		delete(i.codes, r.FormValue("code"))
		challenge := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		if !ok || base64.RawURLEncoding.EncodeToString(challenge[:]) != login.Get("code_challenge") || r.FormValue("redirect_uri") != login.Get("redirect_uri") {
			i.write(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
			return
		}
		nonce = login.Get("nonce")
	case "refresh_token":
		token := r.FormValue("refresh_token")
		if !i.refreshes[token] { // each is good once
			i.write(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
			return
		}
		delete(i.refreshes, token)
		i.refreshed++
	}
	refresh := rand.Text()
	i.refreshes[refresh] = true
	answer := map[string]any{"access_token": "access-" + rand.Text(), "token_type": "Bearer", "refresh_token": refresh}
	if i.lasts != 0 {
		answer["expires_in"] = int(i.lasts.Seconds())
	}
	if !i.plain {
		answer["id_token"] = i.idToken(nonce)
	}
	i.write(w, http.StatusOK, answer)
}

func (i *issuer) idToken(nonce string) string {
	now := time.Now()
	all := map[string]any{"iss": i.URL, "sub": "ann", "aud": testClient, "exp": now.Add(time.Minute).Unix(), "iat": now.Unix(), "groups": []string{"a", "b"}}
	if nonce != "" {
		all["nonce"] = nonce
	}
	maps.Copy(all, i.claims)
	data, err := json.Marshal(all)
	if err != nil {
		i.t.Error(err)
	}
	if i.sign != nil {
		return i.sign(data)
	}
	return signed(i.t, jose.RS256, signingKey(), data)
}

func signed(t *testing.T, algorithm jose.SignatureAlgorithm, key any, data []byte) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "k"))
	if err != nil {
		t.Fatal(err)
	}
	object, err := signer.Sign(data)
	if err != nil {
		t.Fatal(err)
	}
	text, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (i *issuer) user(w http.ResponseWriter, r *http.Request) {
	if len(r.Header.Get("Authorization")) < len("Bearer access-") {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	all := map[string]any{"sub": "ann", "email": "ann@shop.test", "id": 9007199254740993}
	maps.Copy(all, i.userInfo)
	i.write(w, http.StatusOK, all)
}

func (i *issuer) keys(w http.ResponseWriter, _ *http.Request) {
	i.write(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: signingKey().Public(), KeyID: "k", Algorithm: "RS256", Use: "sig"}}})
}

func (i *issuer) revoke(w http.ResponseWriter, r *http.Request) {
	if i.client(w, r) {
		i.revoked = append(i.revoked, r.FormValue("token"))
	}
}
