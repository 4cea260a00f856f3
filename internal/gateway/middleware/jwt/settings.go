// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/peer"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/spelling"
)

// Type is jwt, also called jwtAuth.
var Type = definition.Type{
	Names: []string{"jwt", "jwtAuth"}, Security: true, Scoped: true, Secrets: []string{"secret", "publicKey"}, Parse: parse,
}

// Settings is the rule of a jwt middleware. One source of keys is required; of
// several the first in the order JWKSURL, Secret, JWKSFile, PublicKey counts.
type Settings struct {
	// JWKSURL is where the issuer publishes its key set.
	JWKSURL string `json:"jwksUrl"`
	// Secret is shared with the issuer, for HS256, HS384 and HS512.
	Secret definition.Text `json:"secret"`
	// SecretFrom names a Secret in place of it.
	SecretFrom json.RawMessage `json:"secretFrom"`
	// JWKSFile is a key set as JSON, as base64 of it, or as the name of a file.
	JWKSFile string `json:"jwksFile"`
	// PublicKey is one or more public keys as PEM, as base64 of it, or as the name of
	// a file.
	PublicKey string `json:"publicKey"`
	// PublicKeyFrom names a Secret in place of it.
	PublicKeyFrom json.RawMessage `json:"publicKeyFrom"`
	// Algorithms are the signatures to accept; by default those of the keys.
	Algorithms []string `json:"algorithms"`
	// Alg is one signature to accept, where Algorithms is empty.
	Alg string `json:"alg"`
	// Algo is the same as Alg.
	Algo string `json:"algo"`
	// Issuer has to be the token's, if it is given.
	Issuer string `json:"issuer"`
	// Audience has to be among the token's, if it is given.
	Audience string `json:"audience"`
	// ClaimsExpression has to hold for the claims, if it is given.
	ClaimsExpression string `json:"claimsExpression"`
	// ForwardHeaders are headers for the backend, each with the path of the claim that
	// fills it. What the client sent under these names never arrives.
	ForwardHeaders map[string]string `json:"forwardHeaders"`
	// ForwardAuthorization sends the token on to the backend; false by default.
	ForwardAuthorization bool `json:"forwardAuthorization"`
	// ClockSkew is how far the clocks of issuer and gateway may be apart; 0 by
	// default, at most 10m.
	ClockSkew config.Duration `json:"clockSkew"`
	// RootCAs are the authorities of the certificate of JWKSURL, as PEM or base64 of
	// it; those of the system by default.
	RootCAs string `json:"rootCAs"`
}

const maxSkew = 10 * time.Minute

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	if unset := s.unset(); len(unset) > 0 {
		return nil, append(problems, unset...)
	}
	out := &rule{digest: sha256.Sum256(raw), issuer: s.Issuer, audience: s.Audience, skew: s.ClockSkew.Std()}
	problems = append(problems, out.readKeys(&s)...)
	if !config.HasErrors(problems) {
		problems = append(problems, out.readAlgorithms(&s)...)
	}
	if out.skew < 0 || out.skew > maxSkew {
		problems = append(problems, definition.Invalid("clockSkew", "must be 0 to %s", maxSkew))
	}
	if s.ClaimsExpression != "" {
		var err error
		if out.condition, err = parseExpression(s.ClaimsExpression); err != nil {
			problems = append(problems, definition.Invalid("claimsExpression", "%v", err))
		}
	}
	problems = append(problems, out.readHeaders(&s)...)
	if config.HasErrors(problems) {
		return nil, problems
	}
	return out, problems
}

// unset finds values that need a variable that is not set. C2
func (s *Settings) unset() (problems []config.Problem) {
	for _, v := range []struct{ field, text string }{
		{"jwksUrl", s.JWKSURL}, {"secret", string(s.Secret)}, {"jwksFile", s.JWKSFile}, {"publicKey", s.PublicKey},
		{"issuer", s.Issuer}, {"audience", s.Audience}, {"claimsExpression", s.ClaimsExpression}, {"rootCAs", s.RootCAs},
	} {
		if name := config.Unresolved(v.text); name != "" {
			problems = append(problems, definition.Unset(v.field, name))
		}
	}
	return problems
}

// readKeys finds the source of keys. No message repeats a secret.
func (t *rule) readKeys(s *Settings) []config.Problem {
	invalid := func(field, format string, args ...any) []config.Problem {
		return []config.Problem{definition.Invalid(field, format, args...)}
	}
	switch {
	case s.JWKSURL != "":
		return t.readURL(s)
	case s.Secret != "":
		return t.readSecret(string(s.Secret))
	case len(s.SecretFrom) > 0:
		return []config.Problem{definition.Unread("secret")}
	case len(s.PublicKeyFrom) > 0:
		return []config.Problem{definition.Unread("publicKey")}
	case s.JWKSFile != "":
		if !isObject(s.JWKSFile) && !isObject(unwrapped(s.JWKSFile)) {
			t.keys = origin{file: s.JWKSFile}
			return nil
		}
		set, err := readSet(s.JWKSFile)
		if err != nil {
			return invalid("jwksFile", "%v", err)
		}
		t.keys = origin{static: set}
		return nil
	case s.PublicKey != "":
		if !isPEM(s.PublicKey) && !isPEM(unwrapped(s.PublicKey)) {
			t.keys = origin{file: s.PublicKey, pem: true}
			return nil
		}
		set, err := readPEM(s.PublicKey)
		if err != nil {
			return invalid("publicKey", "%v", err)
		}
		t.keys = origin{static: set}
		return nil
	}
	return invalid("jwksUrl", "is missing; give one of jwksUrl, secret, jwksFile and publicKey")
}

func (t *rule) readURL(s *Settings) (problems []config.Problem) {
	u, err := url.Parse(s.JWKSURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		problems = append(problems, definition.Invalid("jwksUrl", "must be a URL that begins with http:// or https://"))
	}
	t.keys = origin{remote: remoteKey{url: s.JWKSURL, trust: peer.Trust{Roots: s.RootCAs}}}
	if _, err := t.keys.remote.trust.Config(); err != nil {
		problems = append(problems, definition.Invalid("rootCAs", "%v", err))
	}
	return problems
}

// readSecret refuses a public key: everybody knows it, and could sign with it. M15
func (t *rule) readSecret(secret string) []config.Problem {
	if isPEM(secret) {
		return []config.Problem{definition.Invalid("secret", "is a key in PEM and no shared secret; give a public key as publicKey")}
	}
	k, err := newKey("", []byte(secret))
	if err != nil {
		return []config.Problem{definition.Invalid("secret", "%v", err)}
	}
	t.keys = origin{static: &keySet{keys: []key{k}}}
	return nil
}

// readAlgorithms settles which signatures are good: those that the rule names, of
// those that the source of keys can have.
func (t *rule) readAlgorithms(s *Settings) (problems []config.Problem) {
	t.algorithms = t.keys.algorithms()
	field, names := "algorithms", s.Algorithms
	if len(names) == 0 && s.Alg != "" {
		field, names = "alg", []string{s.Alg}
	} else if len(names) == 0 && s.Algo != "" {
		field, names = "algo", []string{s.Algo}
	}
	var chosen []string
	for i, name := range names {
		at := field
		if field == "algorithms" {
			at = fmt.Sprintf("algorithms[%d]", i)
		}
		switch a := canonicalAlgorithm(name); {
		case a == "":
			problems = append(problems, definition.Invalid(at, "%q is not a signature; use one of %s", name, strings.Join(t.algorithms, ", ")))
		case !slices.Contains(t.algorithms, a):
			problems = append(problems, definition.Invalid(at, "%s cannot be made with these keys; use one of %s", a, strings.Join(t.algorithms, ", ")))
		default:
			chosen = append(chosen, a)
		}
	}
	if len(chosen) > 0 {
		t.algorithms = chosen
	}
	return problems
}

// algorithms are the signatures that keys of an origin can make.
func (o origin) algorithms() []string {
	if o.static == nil {
		return publicAlgorithms
	}
	var out []string
	for _, k := range o.static.keys {
		for _, a := range k.algorithms {
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

// framing are headers that belong to a connection or a body: no claim sets them.
var framing = spelling.Of("Connection", "Content-Encoding", "Content-Length", "Expect", "Host", "Keep-Alive", "Proxy-Connection",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade")

func (t *rule) readHeaders(s *Settings) (problems []config.Problem) {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.ForwardHeaders)) {
		claim := s.ForwardHeaders[name]
		switch {
		case !httpguts.ValidHeaderFieldName(name) || framing.Has(name):
			problems = append(problems, definition.Invalid("forwardHeaders", "%q is not a header that can be set", name))
		case claim == "":
			problems = append(problems, definition.Invalid("forwardHeaders."+name, "name the claim that fills the header"))
		}
		names = append(names, name)
		t.headers = append(t.headers, header{http.CanonicalHeaderKey(name), claim})
	}
	t.identity = spelling.Of(names...)
	if !s.ForwardAuthorization {
		names = append(names, "Authorization")
	}
	t.removed = spelling.Of(names...)
	return problems
}
