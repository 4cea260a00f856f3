// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

// forged joins a header, claims and a signature over both.
func forged(header map[string]any, claims string, signature func(input string) []byte) string {
	head, err := json.Marshal(header)
	if err != nil {
		panic(err)
	}
	input := b64(head) + "." + b64([]byte(claims))
	return input + "." + b64(signature(input))
}

func hmacOf(key string) func(string) []byte {
	return func(input string) []byte {
		m := hmac.New(sha256.New, []byte(key))
		m.Write([]byte(input))
		return m.Sum(nil)
	}
}

func fixed(signature string) func(string) []byte {
	return func(string) []byte { return []byte(signature) }
}

func ecDER(k *ecdsa.PrivateKey) func(string) []byte {
	return func(input string) []byte {
		sum := sha256.Sum256([]byte(input))
		der, err := ecdsa.SignASN1(rand.Reader, k, sum[:])
		if err != nil {
			panic(err)
		}
		return der
	}
}

func TestNoForgedTokenIsGood(t *testing.T) { // M15
	t.Parallel()
	s := signers()
	// trap is where an attacker publishes keys: nobody may ask there.
	trap := newIssuer(t, document(jwkOf("evil", s["rsa2"].public)))
	provider := newIssuer(t, document(
		jwkOf("rsa", s["rsa"].public), jwkOf("p256", s["p256"].public), jwkOf("ed", s["ed"].public),
		map[string]any{"kty": "oct", "kid": "shared", "k": b64([]byte(secret))},
	))
	public := pemOf(s["rsa"].public)
	guards := map[string]*guarded{
		"jwksUrl":   guard(t, definition.Build{}, rulemap{"jwksUrl": provider.URL}),
		"publicKey": guard(t, definition.Build{}, rulemap{"publicKey": public}),
		"secret":    guard(t, definition.Build{}, rulemap{"secret": secret}),
		"ed":        guard(t, definition.Build{}, rulemap{"publicKey": pemOf(s["ed"].public)}),
		"p256":      guard(t, definition.Build{}, rulemap{"publicKey": pemOf(s["p256"].public)}),
	}
	const admin = `{"sub":"admin"}`
	good := sign(t, "RS256", "rsa", s["rsa"].private, jwtlib.MapClaims{"sub": "ann"})
	parts := strings.Split(good, ".")
	ec := s["p256"].private.(*ecdsa.PrivateKey)
	n := s["rsa"].public.(*rsa.PublicKey).N
	foreign := func(header map[string]any) string {
		token := jwtlib.NewWithClaims(jwtlib.SigningMethodRS256, jwtlib.MapClaims{"sub": "admin"})
		for name, value := range header {
			token.Header[name] = value
		}
		text, err := token.SignedString(s["rsa2"].private)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for name, token := range map[string]string{
		"alg none, unsigned":                   forged(map[string]any{"alg": "none"}, admin, fixed("")),
		"alg none, signed":                     forged(map[string]any{"alg": "none", "kid": "rsa"}, admin, fixed("x")),
		"alg None":                             forged(map[string]any{"alg": "None", "kid": "rsa"}, admin, fixed("x")),
		"alg nOnE":                             forged(map[string]any{"alg": "nOnE", "kid": "rsa"}, admin, fixed("x")),
		"alg empty":                            forged(map[string]any{"alg": "", "kid": "rsa"}, admin, fixed("x")),
		"no alg":                               forged(map[string]any{"kid": "rsa"}, admin, fixed("x")),
		"alg a number":                         forged(map[string]any{"alg": 256, "kid": "rsa"}, admin, fixed("x")),
		"alg a list":                           forged(map[string]any{"alg": []string{"RS256"}, "kid": "rsa"}, admin, fixed("x")),
		"alg in another case":                  forged(map[string]any{"alg": "hs256", "kid": "rsa"}, admin, hmacOf(public)),
		"HS256 with the public key in PEM":     forged(map[string]any{"alg": "HS256", "kid": "rsa"}, admin, hmacOf(public)),
		"HS256 with the public key, trimmed":   forged(map[string]any{"alg": "HS256", "kid": "rsa"}, admin, hmacOf(strings.TrimSpace(public))),
		"HS256 with the modulus":               forged(map[string]any{"alg": "HS256", "kid": "rsa"}, admin, hmacOf(string(n.Bytes()))),
		"HS256 with the oct key of the set":    forged(map[string]any{"alg": "HS256", "kid": "shared"}, admin, hmacOf("x")),
		"HS256 with nothing":                   forged(map[string]any{"alg": "HS256", "kid": "rsa"}, admin, hmacOf("")),
		"HS256 with nothing, kid as a path":    forged(map[string]any{"alg": "HS256", "kid": "../../../../../../dev/null"}, admin, hmacOf("")),
		"HS256 with a kid for a data base":     forged(map[string]any{"alg": "HS256", "kid": "x' UNION SELECT 'key';--"}, admin, hmacOf("key")),
		"kid a number":                         forged(map[string]any{"alg": "RS256", "kid": 1}, admin, fixed("x")),
		"kid a list":                           forged(map[string]any{"alg": "RS256", "kid": []string{"rsa"}}, admin, fixed("x")),
		"kid that is missing, another key":     foreign(nil),
		"kid of ours, another key":             foreign(map[string]any{"kid": "rsa"}),
		"jku of the attacker":                  foreign(map[string]any{"kid": "evil", "jku": trap.URL}),
		"x5u of the attacker":                  foreign(map[string]any{"kid": "evil", "x5u": trap.URL}),
		"jwk of the attacker":                  foreign(map[string]any{"kid": "evil", "jwk": jwkOf("evil", s["rsa2"].public)}),
		"jwk of the attacker under our kid":    foreign(map[string]any{"kid": "rsa", "jwk": jwkOf("rsa", s["rsa2"].public)}),
		"x5c of the attacker":                  foreign(map[string]any{"kid": "rsa", "x5c": []string{"MIIB"}}),
		"other claims":                         parts[0] + "." + b64([]byte(admin)) + "." + parts[2],
		"another header":                       b64([]byte(`{"alg":"RS256","kid":"rsa","typ":"x"}`)) + "." + parts[1] + "." + parts[2],
		"no signature":                         parts[0] + "." + parts[1] + ".",
		"no signature and no dot":              parts[0] + "." + parts[1],
		"half a signature":                     parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])/2],
		"a signature with padding":             good + "==",
		"a signature and more":                 good + "A",
		"a fourth part":                        good + ".x",
		"five parts, as encrypted tokens have": good + ".x.y",
		"the signature zero (CVE-2022-21449)":  forged(map[string]any{"alg": "ES256", "kid": "p256"}, admin, fixed(strings.Repeat("\x00", 64))),
		"the signature one":                    forged(map[string]any{"alg": "ES256", "kid": "p256"}, admin, fixed(strings.Repeat("\x00", 31)+"\x01"+strings.Repeat("\x00", 31)+"\x01")),
		"an ECDSA signature in ASN.1":          forged(map[string]any{"alg": "ES256", "kid": "p256"}, admin, ecDER(ec)),
		"ES384 of a P-256 key":                 forged(map[string]any{"alg": "ES384", "kid": "p256"}, admin, ecDER(ec)),
		"EdDSA with nothing":                   forged(map[string]any{"alg": "EdDSA", "kid": "ed"}, admin, fixed(strings.Repeat("\x00", 64))),
		"RS256 with a zero":                    forged(map[string]any{"alg": "RS256", "kid": "rsa"}, admin, fixed(strings.Repeat("\x00", 256))),
		"RS256 with a one":                     forged(map[string]any{"alg": "RS256", "kid": "rsa"}, admin, fixed(strings.Repeat("\x00", 255)+"\x01")),
		"PS256 that is RS256":                  forged(map[string]any{"alg": "PS256", "kid": "rsa"}, admin, fixed(strings.Repeat("x", 256))),
		"a header that is no JSON":             b64([]byte("RS256")) + "." + parts[1] + "." + parts[2],
		"a header that is null":                b64([]byte("null")) + "." + parts[1] + "." + parts[2],
		"a header that is no base 64":          "!!." + parts[1] + "." + parts[2],
		"thousands of dots (CVE-2025-30204)":   strings.Repeat(".", 10_000),
		"thousands of parts":                   strings.Repeat("a.", 5_000) + "a",
		"a very long token":                    good[:len(good)-1] + strings.Repeat("A", maxTokenBytes),
		"a token in JSON":                      `{"payload":"` + parts[1] + `","signatures":[]}`,
		"a token in quotes":                    `"` + good + `"`,
		"two tokens":                           good + ", Bearer " + good,
		"nothing but dots":                     "..",
	} {
		for kind, g := range guards {
			w := g.send("Bearer " + token)
			if g.hits != 0 || w.Code != http.StatusUnauthorized || w.Body.String() != "Unauthorized\n" || w.Header().Get("WWW-Authenticate") != `Bearer error="invalid_token"` {
				t.Fatalf("%s with %s: %d %q, %d reached the backend", name, kind, w.Code, w.Body, g.hits)
			}
		}
	}
	if trap.asked.Load() != 0 {
		t.Errorf("the attacker's keys were asked for %d times", trap.asked.Load())
	}
	if asked := provider.asked.Load(); asked != 1 {
		t.Errorf("unknown names of keys made %d questions", asked) // M16
	}
	if !guards["jwksUrl"].admits(good) || !guards["publicKey"].admits(good) {
		t.Error("a good token is refused")
	}
}

func TestCriticalExtensionsAreRefused(t *testing.T) { // M15, RFC 7515 §4.1.11
	t.Parallel()
	g := guard(t, definition.Build{}, rulemap{"secret": secret})
	for _, header := range []map[string]any{
		{"alg": "HS256", "crit": []string{"http://a.test/x"}, "http://a.test/x": 1},
		{"alg": "HS256", "crit": []string{"b64"}, "b64": false},
		{"alg": "HS256", "crit": []string{"exp"}, "exp": 1},
		{"alg": "HS256", "crit": []string{}},
		{"alg": "HS256", "crit": nil},
		{"alg": "HS256", "crit": "bork"},
	} {
		if g.admits(forged(header, `{}`, hmacOf(secret))) {
			t.Errorf("%v is understood", header)
		}
	}
	if !g.admits(forged(map[string]any{"alg": "HS256", "typ": "at+jwt", "x": 1}, `{}`, hmacOf(secret))) {
		t.Error("a header that is not critical matters")
	}
}

func TestExactlyOneAuthorizationIsRead(t *testing.T) { // M15
	t.Parallel()
	g := guard(t, definition.Build{}, rulemap{"secret": secret})
	token := hs(t, nil)
	for _, c := range []struct {
		name   string
		values []string
		status int
		body   string
	}{
		{"a good one", []string{"Bearer " + token}, 200, ""},
		{"the scheme in another case", []string{"bearer " + token}, 200, ""},
		{"with more blanks", []string{" Bearer   " + token + " "}, 200, ""},
		{"none", nil, 401, "401 Unauthorized\n"},
		{"an empty one", []string{""}, 401, "401 Unauthorized\n"},
		{"two, the first good", []string{"Bearer " + token, "Bearer x.y.z"}, 401, "Unauthorized\n"},
		{"two, the last good", []string{"Basic YTpi", "Bearer " + token}, 401, "Unauthorized\n"},
		{"two that are the same", []string{"Bearer " + token, "Bearer " + token}, 401, "Unauthorized\n"},
		{"two in one line", []string{"Bearer " + token + ", Basic YTpi"}, 401, "Unauthorized\n"},
		{"another scheme", []string{"Basic YTpi"}, 401, "Missing Bearer prefix\n"},
		{"no scheme", []string{token}, 401, "Missing Bearer prefix\n"},
		{"no token", []string{"Bearer"}, 401, "Missing Bearer prefix\n"},
		{"no token and a blank", []string{"Bearer "}, 401, "Missing Bearer prefix\n"},
		{"a tab for a blank", []string{"Bearer\t" + token}, 401, "Missing Bearer prefix\n"},
		{"the scheme twice", []string{"Bearer Bearer " + token}, 401, "Unauthorized\n"},
	} {
		before := g.hits
		w := g.send(c.values...)
		passed := g.hits - before
		if w.Code != c.status || w.Body.String() != c.body || (passed == 1) != (c.status == 200) {
			t.Errorf("%s: %d %q, %d passed", c.name, w.Code, w.Body, passed)
		}
		if asked := w.Header().Get("WWW-Authenticate"); (c.status == 401) != strings.HasPrefix(asked, "Bearer") {
			t.Errorf("%s: WWW-Authenticate %q", c.name, asked)
		}
	}
}

func FuzzBearer(f *testing.F) { // M15
	f.Add("Bearer a.b.c", "")
	f.Add("bearer  a..c", "Bearer a.b.c")
	f.Fuzz(func(t *testing.T, one, two string) {
		h := http.Header{"Authorization": {one}}
		if two != "" {
			h["Authorization"] = append(h["Authorization"], two)
		}
		token, err := bearer(h)
		if (token == "") != (err != nil) || two != "" && err == nil {
			t.Fatalf("%q, %q: %q, %v", one, two, token, err)
		}
		if err == nil && (strings.Count(token, ".") != 2 || strings.ContainsAny(token, " ,=\t\r\n\"") || !strings.Contains(one, token)) {
			t.Fatalf("%q has the token %q", one, token)
		}
	})
}

func FuzzVerify(f *testing.F) { // M15
	header, claims, _ := strings.Cut(hs(f, jwtlib.MapClaims{"sub": "a"}), ".")
	f.Add(header, claims)
	f.Add(b64([]byte(`{"alg":"none"}`)), b64([]byte(`{}`))+".")
	g := guard(f, definition.Build{}, rulemap{"secret": secret})
	good := hs(f, jwtlib.MapClaims{"sub": "a"})
	f.Fuzz(func(t *testing.T, header, rest string) {
		token := header + "." + rest
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Authorization"] = []string{"Bearer " + token}
		before := g.hits
		if g.do(r); g.hits != before && strings.TrimSpace(token) != good {
			t.Fatalf("%q is good", token)
		}
	})
}
