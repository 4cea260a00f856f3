// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
)

// jwk is a key of a key set (RFC 7517, 7518 §6, 8037).
type jwk struct {
	Kty    string   `json:"kty"`
	Kid    string   `json:"kid"`
	Use    string   `json:"use"`
	KeyOps []string `json:"key_ops"`
	Alg    string   `json:"alg"`
	Crv    string   `json:"crv"`
	N      string   `json:"n"`
	E      string   `json:"e"`
	X      string   `json:"x"`
	Y      string   `json:"y"`
}

const (
	maxSetBytes = 1 << 20
	mostKeys    = 256
)

var (
	errNoSet     = errors.New("is no JSON key set: an object with a list of keys")
	errManyKeys  = errors.New("holds more than 256 keys")
	errNoUsable  = errors.New("holds no public key for signatures that has a kid")
	errMalformed = errors.New("is malformed")
)

// parseSet reads a key set. Keys that are not for signatures, of another kind, or
// malformed are left out, so that they do not spoil the others; a shared secret in a
// key set is none. A set without any key that is left is an error. M15
func parseSet(data []byte) (*keySet, error) {
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(data, &document) != nil || document.Keys == nil {
		return nil, errNoSet
	}
	if len(document.Keys) > mostKeys {
		return nil, errManyKeys
	}
	set := &keySet{named: true}
	for _, raw := range document.Keys {
		var j jwk
		if json.Unmarshal(raw, &j) != nil || j.Kid == "" || !j.verifies() {
			continue
		}
		if k, err := j.key(); err == nil {
			set.keys = append(set.keys, k)
		}
	}
	if len(set.keys) == 0 {
		return nil, errNoUsable
	}
	return set, nil
}

// verifies tells whether the key is for verifying signatures.
func (j jwk) verifies() bool {
	return (j.Use == "" || j.Use == "sig") && (len(j.KeyOps) == 0 || slices.Contains(j.KeyOps, "verify"))
}

// key reads the key; a key that names its signature makes no other.
func (j jwk) key() (key, error) {
	material, err := j.material()
	if err != nil {
		return key{}, err
	}
	k, err := newKey(j.Kid, material)
	if err == nil && j.Alg != "" {
		if !slices.Contains(k.algorithms, j.Alg) {
			return key{}, errKind
		}
		k.algorithms = []string{j.Alg}
	}
	return k, err
}

func (j jwk) material() (any, error) {
	switch j.Kty {
	case "RSA":
		return rsaKey(number(j.N), number(j.E))
	case "EC":
		return ecKey(j.Crv, number(j.X), number(j.Y))
	case "OKP":
		if x := number(j.X); j.Crv == "Ed25519" && len(x) == ed25519.PublicKeySize {
			return ed25519.PublicKey(x), nil
		}
	}
	return nil, errKind
}

// number reads the octets of a number; nil when they are malformed. Some providers
// pad what must not be padded.
func number(text string) []byte {
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return nil
	}
	return data
}

func rsaKey(n, e []byte) (any, error) {
	exponent := new(big.Int).SetBytes(e)
	const least, mostBits = 3, 31
	if len(n) == 0 || exponent.BitLen() > mostBits || exponent.Int64() < least || exponent.Bit(0) == 0 {
		return nil, errMalformed
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}, nil
}

// ecKey refuses points that are not on their curve.
func ecKey(curve string, x, y []byte) (any, error) {
	c, ok := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[curve]
	if !ok {
		return nil, errKind
	}
	size := (c.Params().BitSize + 7) / 8
	if len(x) != size || len(y) != size {
		return nil, errMalformed
	}
	return ecdsa.ParseUncompressedPublicKey(c, slices.Concat([]byte{4}, x, y))
}
