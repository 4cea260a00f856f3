// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

func TestEverySignatureIsGoodWithItsKeyAlone(t *testing.T) { // M15, M17
	t.Parallel()
	all := map[string]*guarded{}
	for name, s := range signers() {
		all[name+" in PEM"] = guard(t, definition.Build{}, rulemap{"publicKey": pemOf(s.public)})
		all[name+" in a key set"] = guard(t, definition.Build{}, rulemap{"jwksFile": document(jwkOf(name, s.public))})
	}
	all["secret in the rule"] = guard(t, definition.Build{}, rulemap{"secret": secret})
	makers := maps.Clone(signers())
	makers["secret"] = signer{private: []byte(secret), algorithms: hmacAlgorithms}
	for maker, s := range makers {
		for _, algorithm := range s.algorithms {
			token := sign(t, algorithm, maker, s.private, jwtlib.MapClaims{"sub": "ann"})
			for name, g := range all {
				if want := strings.HasPrefix(name, maker+" "); g.admits(token) != want {
					t.Errorf("%s of %s with %s: want %v", algorithm, maker, name, want)
				}
			}
		}
	}
}

func TestTheRuleNarrowsTheSignatures(t *testing.T) { // M15
	t.Parallel()
	s := signers()["rsa"]
	for _, c := range []struct {
		rule rulemap
		good []string
	}{
		{rulemap{}, rsaAlgorithms},
		{rulemap{"algorithms": []string{"RS512", "ps256"}}, []string{"RS512", "PS256"}},
		{rulemap{"alg": "RS384"}, []string{"RS384"}},
		{rulemap{"algo": "PS512"}, []string{"PS512"}},
		{rulemap{"algorithms": []string{"RS256"}, "alg": "RS384", "algo": "RS512"}, []string{"RS256"}},
	} {
		c.rule["publicKey"] = pemOf(s.public)
		g := guard(t, definition.Build{}, c.rule)
		for _, algorithm := range rsaAlgorithms {
			want := strings.Contains(strings.Join(c.good, " "), algorithm)
			if got := g.admits(sign(t, algorithm, "", s.private, nil)); got != want {
				t.Errorf("%v: %s is good: %v", c.good, algorithm, got)
			}
		}
	}
}

func TestClaimsDecide(t *testing.T) { // M15, M17
	t.Parallel()
	now := time.Now()
	in := func(d time.Duration) int64 { return now.Add(d).Unix() }
	type claims = jwtlib.MapClaims
	for _, c := range []struct {
		name   string
		rule   rulemap
		claims claims
		want   bool
	}{
		{"no claim at all is enough without demands", rulemap{}, claims{}, true},
		{"before the end", rulemap{}, claims{"exp": in(time.Hour)}, true},
		{"after the end", rulemap{}, claims{"exp": in(-time.Minute)}, false},
		{"after the end, by less than the clocks are apart", rulemap{"clockSkew": "2m"}, claims{"exp": in(-time.Minute)}, true},
		{"after the end, by more than the clocks are apart", rulemap{"clockSkew": 30}, claims{"exp": in(-time.Minute)}, false},
		{"an end that is text", rulemap{}, claims{"exp": "9999999999"}, false},
		{"an end that is zero", rulemap{}, claims{"exp": 0}, false},
		{"an end that is null", rulemap{}, claims{"exp": nil}, false},
		{"an end with a fraction", rulemap{}, claims{"exp": float64(in(time.Hour)) + 0.5}, true},
		{"after the beginning", rulemap{}, claims{"nbf": in(-time.Hour)}, true},
		{"before the beginning", rulemap{}, claims{"nbf": in(time.Minute)}, false},
		{"before the beginning, by less than the clocks are apart", rulemap{"clockSkew": "2m"}, claims{"nbf": in(time.Minute)}, true},
		{"a beginning that is text", rulemap{}, claims{"nbf": "0"}, false},
		{"the issuer", rulemap{"issuer": "https://id"}, claims{"iss": "https://id"}, true},
		{"another issuer", rulemap{"issuer": "https://id"}, claims{"iss": "https://id/"}, false},
		{"no issuer", rulemap{"issuer": "https://id"}, claims{}, false},
		{"a list of issuers", rulemap{"issuer": "https://id"}, claims{"iss": []string{"https://id"}}, false},
		{"any issuer where none is asked for", rulemap{}, claims{"iss": "https://other"}, true},
		{"the audience", rulemap{"audience": "api"}, claims{"aud": "api"}, true},
		{"the audience among others", rulemap{"audience": "api"}, claims{"aud": []string{"web", "api"}}, true},
		{"another audience", rulemap{"audience": "api"}, claims{"aud": "apis"}, false},
		{"other audiences", rulemap{"audience": "api"}, claims{"aud": []string{"web"}}, false},
		{"no audience", rulemap{"audience": "api"}, claims{}, false},
		{"no audience and none is asked for", rulemap{}, claims{}, true},
		{"any audience where none is asked for", rulemap{}, claims{"aud": "web"}, true},
		{"an audience that is a number", rulemap{"audience": "5"}, claims{"aud": 5}, false},
		{"the expression holds", rulemap{"claimsExpression": "Equals('role', 'admin')"}, claims{"role": "admin"}, true},
		{"the expression does not hold", rulemap{"claimsExpression": "Equals('role', 'admin')"}, claims{"role": "user"}, false},
		{"the claim of the expression is missing", rulemap{"claimsExpression": "Equals('role', 'admin')"}, claims{}, false},
		{"not suspended, as nothing is said", rulemap{"claimsExpression": "!Equals('suspended', true)"}, claims{}, true},
		{"suspended", rulemap{"claimsExpression": "!Equals('suspended', true)"}, claims{"suspended": true}, false},
		{"a claim of a claim", rulemap{"claimsExpression": "OneOf('realm_access.roles', 'ops')"}, claims{"realm_access": claims{"roles": []string{"dev", "ops"}}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.rule["secret"] = secret
			g := guard(t, definition.Build{}, c.rule)
			token := hs(t, c.claims)
			for range 2 { // the second time it may be remembered
				if got := g.admits(token); got != c.want {
					t.Errorf("%v is good: %v", c.claims, got)
				}
			}
		})
	}
}

func TestTheBackendLearnsWhatTheTokenSays(t *testing.T) { // P8, P9
	t.Parallel()
	rule := rulemap{"secret": secret, "forwardHeaders": map[string]string{
		"X-User-Id": "sub", "x-org": "user.org", "X-Roles": "roles", "X-Age": "age", "X-Active": "active", "X-Gone": "gone", "X-Bad": "bad",
	}}
	g := guard(t, definition.Build{Paths: []string{"/api"}}, rule)
	token := hs(t, jwtlib.MapClaims{
		"sub": "ann", "user": map[string]any{"org": "acme"}, "roles": []string{"a", "b"}, "age": 42.0, "active": true, "bad": "a\r\nX-Admin: 1",
	})
	for range 2 {
		r := httptest.NewRequest(http.MethodGet, "/api", nil)
		r.Header["Authorization"] = []string{"Bearer " + token}
		for _, name := range []string{"X-User-Id", "X_User_Id", "x_user-id", "X-Gone", "X_Gone", "x-bad", "X-ORG", "X_Roles"} {
			r.Header[name] = []string{"forged"}
		}
		r.Header["X-Other"] = []string{"kept"}
		if w := g.do(r); w.Code != http.StatusOK {
			t.Fatal(w.Code, w.Body)
		}
		want := map[string]string{"X-User-Id": "ann", "X-Org": "acme", "X-Roles": "a,b", "X-Age": "42", "X-Active": "true", "X-Other": "kept"}
		for name, values := range g.seen {
			if len(values) != 1 || want[name] != values[0] {
				t.Errorf("the backend sees %s: %q", name, values)
			}
		}
		if len(g.seen) != len(want) {
			t.Errorf("the backend sees %v", g.seen)
		}
		if text, ok := g.x.Claim("user.org"); text != "acme" || !ok {
			t.Errorf("the claim is %q, %v", text, ok)
		}
		if text, ok := g.x.Claim("gone"); text != "" || ok {
			t.Errorf("the claim that is missing is %q, %v", text, ok)
		}
	}
	// Outside of the paths nobody is known, and nobody can say who they are.
	r := httptest.NewRequest(http.MethodGet, "/other", nil)
	r.Header["Authorization"], r.Header["X_user_id"] = []string{"Bearer x"}, []string{"forged"}
	if w := g.do(r); w.Code != http.StatusOK || g.seen["X_user_id"] != nil || g.seen.Get("Authorization") == "" || g.x.Claim != nil {
		t.Errorf("%d, %v", w.Code, g.seen)
	}
}

func TestTheTokenGoesOnOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	token := hs(t, nil)
	for forward, want := range map[bool]string{false: "", true: "Bearer " + token} {
		g := guard(t, definition.Build{}, rulemap{"secret": secret, "forwardAuthorization": forward})
		if g.send("Bearer " + token); g.seen.Get("Authorization") != want {
			t.Errorf("forwardAuthorization %v: %q", forward, g.seen)
		}
	}
}

func TestWithoutPathsTheWholeRouteIsProtected(t *testing.T) { // M1
	t.Parallel()
	g := guard(t, definition.Build{}, rulemap{"secret": secret})
	for _, path := range []string{"/", "/metrics", "/a/b"} {
		if w := g.do(httptest.NewRequest(http.MethodGet, path, nil)); w.Code != http.StatusUnauthorized || g.hits != 0 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
