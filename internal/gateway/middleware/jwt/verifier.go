// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"context"
	"errors"
	"time"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/claims"
)

// verifier decides on tokens. It is safe for concurrent use.
type verifier struct {
	rule   *rule
	keys   source
	good   *remembered
	parser *jwtlib.Parser
}

func newVerifier(t *rule, keys source, good *remembered) *verifier {
	options := []jwtlib.ParserOption{
		jwtlib.WithValidMethods(t.algorithms), jwtlib.WithLeeway(t.skew), jwtlib.WithJSONNumber(), jwtlib.WithStrictDecoding(),
	}
	if t.issuer != "" {
		options = append(options, jwtlib.WithIssuer(t.issuer))
	}
	if t.audience != "" {
		options = append(options, jwtlib.WithAudience(t.audience))
	}
	return &verifier{rule: t, keys: keys, good: good, parser: jwtlib.NewParser(options...)}
}

// identity is the bearer of a good token, as far as the rule cares.
type identity struct {
	// headers are the values of the rule's headers, in its order; nil is none.
	headers [][]string
	claim   func(path string) (string, bool)
	// set are the keys with which it was verified, until the end of its being
	// remembered.
	set   *keySet
	until time.Time
}

// verify gives who bears a token that is good. The error is errAway where nobody can
// tell.
func (v *verifier) verify(ctx context.Context, token string) (*identity, error) {
	id := v.good.identify(token)
	if set := v.keys.current(); set != nil {
		if who := v.good.get(id, set); who != nil {
			return who, nil
		}
	}
	said, set, err := v.parse(ctx, token)
	if err != nil {
		return nil, err
	}
	if v.rule.condition != nil && !v.rule.condition.holds(claims.Set(said)) {
		return nil, invalid
	}
	who := v.identityOf(said, set)
	v.good.add(id, who)
	return who, nil
}

var (
	errCritical = errors.New("the token has critical extensions")
	errNoKey    = errors.New("no key is that of the token")
)

// parse checks signature, times, issuer and audience.
func (v *verifier) parse(ctx context.Context, token string) (jwtlib.MapClaims, *keySet, error) {
	said := jwtlib.MapClaims{}
	var set *keySet
	_, err := v.parser.ParseWithClaims(token, said, func(t *jwtlib.Token) (any, error) {
		if _, critical := t.Header["crit"]; critical {
			return nil, errCritical
		}
		id, _ := t.Header["kid"].(string)
		var err error
		if set, err = v.keys.find(ctx, id); err != nil {
			return nil, err
		}
		return choose(set.candidates(id, t.Method.Alg()))
	})
	return said, set, err
}

func choose(candidates []any) (any, error) {
	switch len(candidates) {
	case 0:
		return nil, errNoKey
	case 1:
		return candidates[0], nil
	}
	var several jwtlib.VerificationKeySet
	for _, c := range candidates {
		several.Keys = append(several.Keys, c)
	}
	return several, nil
}

// identityOf keeps what requests with the token need, so that it is computed once.
func (v *verifier) identityOf(said jwtlib.MapClaims, set *keySet) *identity {
	bearer := claims.Set(said)
	who := &identity{set: set, until: time.Now().Add(rememberFor)}
	if expires, err := said.GetExpirationTime(); err == nil && expires != nil && expires.Before(who.until) {
		who.until = expires.Time
	}
	for _, h := range v.rule.headers {
		var value []string
		if text := bearer.Header(h.claim); text != "" {
			value = []string{text}
		}
		who.headers = append(who.headers, value)
	}
	who.claim = func(path string) (string, bool) { return claims.Text(bearer.Find(path)) }
	return who
}
