// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/ldap/ldaptest"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/session"
)

// The servers that middlewares of the contract ask. They live as long as the test.
var (
	// authService lets everybody pass, with a cookie, who does not say no.
	authService = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "seen=1")
		if r.Header.Get("X-No") != "" {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	// people is a directory with one user, ann, whose password is a.
	people = ldaptest.New()
)

const nobodyListens = "127.0.0.1:1"

// loginRule is that of an oauth middleware whose provider is away: a session that
// was sealed before is good all the same.
const loginRule = `{"clientId":"c","clientSecret":"the secret of c","redirectUrl":"https://a.test/oauth2/callback","issuer":"http://` + nobodyListens + `"}`

// loggedIn is the cookie of a session of loginRule.
var loggedIn = func() string {
	sealer, err := session.NewSealer("the secret of c", "oauth session 1", "m", "c", "http://"+nobodyListens, "")
	if err != nil {
		panic(err)
	}
	cookie := session.Cookie{Name: fmt.Sprintf("goma_oauth_%x", sha256.Sum256([]byte("m\x00c")))[:len("goma_oauth_")+8], Path: "/", Secure: true}
	return cookie.FullName() + "=" + sealer.Seal("session", []byte(`{"i":"id","s":"ann","e":9999999999,"u":9999999999}`))
}()

// tokenRule is that of a jwt middleware for which token is good.
const tokenRule = `{"secret":"what the issuer and the gateway share","forwardHeaders":{"X-User-Id":"sub"},"forwardAuthorization":true}`

// token is for ann, without an end.
var token = func() string {
	text, err := jwtlib.NewWithClaims(jwtlib.SigningMethodHS256, jwtlib.MapClaims{"sub": "ann"}).SignedString([]byte("what the issuer and the gateway share"))
	if err != nil {
		panic(err)
	}
	return text
}()

// bearing gives a request a token.
func bearing(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

// apiKey is good for keyRule.
const (
	apiKey  = "k-0123456789abcdef0123456789abcdef"
	keyRule = `{"keys":["` + apiKey + `"]}`
)

// identified are the credentials of ann for a type that takes none of the usual ones
// of the contract.
func identified(kind string, h http.Header) {
	if kind == "apiKey" && h.Get("Authorization") == "Basic YW5uOmE=" {
		h.Set("X-Api-Key", apiKey)
	}
	if kind == "jwt" && h.Get("Authorization") == "Basic YW5uOmE=" {
		h.Set("Authorization", "Bearer "+token)
	}
}
