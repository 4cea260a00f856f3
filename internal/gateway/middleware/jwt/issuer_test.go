// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

// signer is a private key of every kind that is supported. They are made once.
type signer struct {
	private, public any
	algorithms      []string
}

var signers = sync.OnceValue(func() map[string]signer {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	out := map[string]signer{}
	for _, name := range []string{"rsa", "rsa2"} {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		must(err)
		out[name] = signer{k, &k.PublicKey, rsaAlgorithms}
	}
	for name, curve := range map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()} {
		k, err := ecdsa.GenerateKey(curve, rand.Reader)
		must(err)
		out[name] = signer{k, &k.PublicKey, []string{curveAlgorithm(curve.Params().Name)}}
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	out["ed"] = signer{private, public, edAlgorithms}
	return out
})

const secret = "a secret that is 32 bytes long, or more"

// sign makes a token. A kid of "" is none.
func sign(t testing.TB, algorithm, kid string, private any, claims jwtlib.MapClaims) string {
	t.Helper()
	token := jwtlib.NewWithClaims(jwtlib.GetSigningMethod(algorithm), claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(private)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// hs signs with the shared secret.
func hs(t testing.TB, claims jwtlib.MapClaims) string {
	t.Helper()
	return sign(t, "HS256", "", []byte(secret), claims)
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// jwkOf describes a public key.
func jwkOf(kid string, public any) map[string]any {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return map[string]any{"kty": "RSA", "kid": kid, "use": "sig", "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			panic(err)
		}
		half := (len(point) - 1) / 2
		return map[string]any{"kty": "EC", "kid": kid, "crv": k.Params().Name, "x": b64(point[1 : 1+half]), "y": b64(point[1+half:])}
	case ed25519.PublicKey:
		return map[string]any{"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": b64(k)}
	}
	panic("no such key")
}

// document is a key set.
func document(keys ...map[string]any) string {
	data, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(err)
	}
	return string(data)
}

func pemOf(public any) string {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// issuer publishes a key set, and counts who asks. It can be edited while it runs.
type issuer struct {
	*httptest.Server

	asked  atomic.Int64
	answer atomic.Pointer[http.HandlerFunc]
}

func newIssuer(t testing.TB, text string) *issuer {
	i := &issuer{}
	i.publish(text)
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.asked.Add(1)
		(*i.answer.Load())(w, r)
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) publish(text string) {
	i.does(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
}

func (i *issuer) does(f http.HandlerFunc) { i.answer.Store(&f) }

// guarded is a middleware in front of a backend that counts.
type guarded struct {
	http.Handler

	hits int
	seen http.Header
	x    *exchange.Exchange
}

func guard(t testing.TB, b definition.Build, rule any) *guarded {
	t.Helper()
	raw, err := json.Marshal(rule)
	if err != nil {
		t.Fatal(err)
	}
	parsed, problems := parse(raw)
	if parsed == nil {
		t.Fatal(problems)
	}
	if b.Pool == nil {
		b.Pool = pool.New()
	}
	if b.Track == nil {
		b.Track = t.Cleanup
	}
	g := &guarded{}
	g.Handler, err = parsed.Handler(b, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		g.hits++
		g.seen, g.x = r.Header.Clone(), exchange.Of(r)
	}))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// send gives the answer to a request with these Authorization headers.
func (g *guarded) send(authorization ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if len(authorization) > 0 {
		r.Header["Authorization"] = authorization
	}
	return g.do(r)
}

func (g *guarded) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), &exchange.Exchange{Path: r.URL.Path})))
	return w
}

// admits tells whether a token lets a request reach the backend.
func (g *guarded) admits(token string) bool {
	before := g.hits
	w := g.send("Bearer " + token)
	return w.Code == http.StatusOK && g.hits == before+1
}

type rulemap map[string]any

func errorsOf(raw string) []config.Problem {
	_, problems := parse(json.RawMessage(raw))
	return problems
}
