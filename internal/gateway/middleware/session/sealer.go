// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package session keeps state in the browser that nobody else can read, make or
// change: sealed cookies, cut into several where one would be too long.
//
// The key comes from a secret of the configuration, so that every replica opens
// what another one sealed, and a cookie outlives a restart.
package session

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"golang.org/x/crypto/chacha20poly1305"
)

// Sealer encrypts and authenticates. It is safe for concurrent use; make one with
// NewSealer.
type Sealer struct{ aead cipher.AEAD }

// NewSealer derives a key from a secret, for one purpose: what one purpose sealed no
// other one opens. The secret must not be empty.
func NewSealer(secret string, purpose ...string) (*Sealer, error) {
	var info []byte
	for _, part := range purpose {
		info = append(binary.BigEndian.AppendUint64(info, uint64(len(part))), part...)
	}
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, string(info), chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	// With 24 random bytes for each text there is no bound on how many one key seals.
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	return &Sealer{aead}, nil
}

// Seal gives text for a cookie. The kind says what is sealed: a text opens as its
// own kind only.
func (s *Sealer) Seal(kind string, plain []byte) string {
	sealed := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(plain)+s.aead.Overhead())
	_, _ = rand.Read(sealed) // never fails
	sealed = s.aead.Seal(sealed, sealed, plain, []byte(kind))
	return base64.RawURLEncoding.EncodeToString(sealed)
}

// Open gives back what was sealed; ok is false for everything else.
func (s *Sealer) Open(kind, text string) (plain []byte, ok bool) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(sealed) < s.aead.NonceSize() {
		return nil, false
	}
	nonce, box := sealed[:s.aead.NonceSize()], sealed[s.aead.NonceSize():]
	plain, err = s.aead.Open(nil, nonce, box, []byte(kind))
	return plain, err == nil
}
