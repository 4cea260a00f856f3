// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
)

// maxKeyBytes is more than any key has: what is longer is none.
const maxKeyBytes = 4096

type digest [sha256.Size]byte

// keys are the names of keys by the digests of these. What the time of finding one
// tells is about the digest, from which no key follows. A name is kept as the values
// of a header, which nobody changes.
type keys map[digest][]string

// nameOf gives the name of a key.
func (k keys) nameOf(key string) (name []string, ok bool) {
	if key == "" || len(key) > maxKeyBytes {
		return nil, false
	}
	name, ok = k[sha256.Sum256([]byte(key))]
	return name, ok
}

// hashed begins a key of which a rule holds the digest alone.
const hashed = "sha256:"

var (
	errDigest = errors.New("is no digest; write sha256: and 64 hexadecimal digits")
	errSpace  = errors.New("holds a space or a control character, which no header can carry as it is")
	errLong   = errors.New("is longer than 4096 bytes")
)

// digestOf reads a key as it stands in a rule.
func digestOf(text string) (d digest, err error) {
	if digits, ok := strings.CutPrefix(text, hashed); ok {
		sum, err := hex.DecodeString(digits)
		if err != nil || len(sum) != sha256.Size {
			return d, errDigest
		}
		return digest(sum), nil
	}
	switch {
	case len(text) > maxKeyBytes:
		return d, errLong
	case strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c == 0x7f }):
		return d, errSpace
	}
	return sha256.Sum256([]byte(text)), nil
}
