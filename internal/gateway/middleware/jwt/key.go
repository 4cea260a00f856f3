// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"slices"
	"strings"
)

// The signatures that are known, by the kind of key that makes them. "none" is no
// signature. M15
var (
	hmacAlgorithms  = []string{"HS256", "HS384", "HS512"}
	rsaAlgorithms   = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	ecdsaAlgorithms = []string{"ES256", "ES384", "ES512"}
	edAlgorithms    = []string{"EdDSA"}

	publicAlgorithms = slices.Concat(rsaAlgorithms, ecdsaAlgorithms, edAlgorithms)
	allAlgorithms    = slices.Concat(hmacAlgorithms, publicAlgorithms)
)

// canonicalAlgorithm gives the usual spelling of a name; empty when it is unknown.
func canonicalAlgorithm(name string) string {
	for _, a := range allAlgorithms {
		if strings.EqualFold(a, name) {
			return a
		}
	}
	return ""
}

// key verifies signatures. What it is decides which: a token cannot have a public key
// taken for a shared secret. M15
type key struct {
	// id is the kid of a key set; empty where a key has none.
	id         string
	material   any
	algorithms []string
}

var (
	errKind  = errors.New("is a key of a kind that is not supported; use RSA, ECDSA with P-256, P-384 or P-521, or Ed25519")
	errSmall = errors.New("is an RSA key of less than 2048 or more than 8192 bits")
)

const (
	leastRSABits = 2048
	mostRSABits  = 8192
)

// newKey makes a key of a shared secret or of a public key.
func newKey(id string, material any) (key, error) {
	switch m := material.(type) {
	case []byte:
		return key{id, m, hmacAlgorithms}, nil
	case *rsa.PublicKey:
		if bits := m.N.BitLen(); bits < leastRSABits || bits > mostRSABits {
			return key{}, errSmall
		}
		return key{id, m, rsaAlgorithms}, nil
	case *ecdsa.PublicKey:
		if algorithm := curveAlgorithm(m.Curve.Params().Name); algorithm != "" {
			return key{id, m, []string{algorithm}}, nil
		}
	case ed25519.PublicKey:
		return key{id, m, edAlgorithms}, nil
	}
	return key{}, errKind
}

// curveAlgorithm is the one signature that RFC 7518 §3.4 has for a curve.
func curveAlgorithm(curve string) string {
	switch curve {
	case "P-256":
		return "ES256"
	case "P-384":
		return "ES384"
	case "P-521":
		return "ES512"
	}
	return ""
}

// keySet are the keys of one source. It is not changed once it is made: other keys
// are another set, and what was verified with this one is verified again.
type keySet struct {
	keys []key
	// named keys are chosen by the kid of the token, which then has to have one.
	named bool
}

// mostCandidates bounds how many keys are tried for one token.
const mostCandidates = 8

// candidates are the keys that may have signed a token.
func (s *keySet) candidates(id, algorithm string) (found []any) {
	for _, k := range s.keys {
		if (!s.named || k.id == id) && slices.Contains(k.algorithms, algorithm) && len(found) < mostCandidates {
			found = append(found, k.material)
		}
	}
	return found
}

// has tells whether a key of that name is in the set.
func (s *keySet) has(id string) bool {
	return slices.ContainsFunc(s.keys, func(k key) bool { return k.id == id })
}
