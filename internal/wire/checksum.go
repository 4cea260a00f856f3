// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"

	"gateway.jkaninda.dev/goma/internal/config"
)

// sum is a set of hashes as one number: their sum modulo 2^256. Adding and
// taking away one object is one addition, and the order does not matter.
//
// It tells equal sets from different ones. It is no protection against somebody
// who wants two sets to look equal, and nothing relies on that.
type sum [4]uint64

func (s *sum) add(h hash) {
	words := h.words()
	var carry uint64
	for i := range s {
		s[i], carry = bits.Add64(s[i], words[i], carry)
	}
}

func (s *sum) remove(h hash) {
	words := h.words()
	var borrow uint64
	for i := range s {
		s[i], borrow = bits.Sub64(s[i], words[i], borrow)
	}
}

// String gives "sha256:" and 64 hexadecimal digits.
func (s sum) String() string {
	var b [sha256.Size]byte
	for i := range s {
		binary.LittleEndian.PutUint64(b[8*i:], s[i])
	}
	return "sha256:" + hex.EncodeToString(b[:])
}

func (h hash) words() (w [4]uint64) {
	for i := range w {
		w[i] = binary.LittleEndian.Uint64(h[8*i:])
	}
	return w
}

// Checksum identifies the content of a Bundle, whatever the order of its
// objects: "sha256:" and 64 digits. Age and namespace of an object count, since
// they decide what serves. It equals the Checksum of the View of a reader that
// has read the same objects.
//
// An object that cannot be encoded, and so cannot be committed either, does not count.
func Checksum(b *config.Bundle) string {
	var s sum
	for _, r := range b.Routes {
		s.addObject(Object{Route: r})
	}
	for _, m := range b.Middlewares {
		s.addObject(Object{Middleware: m})
	}
	return s.String()
}

func (s *sum) addObject(o Object) {
	if data, err := encode(o); err == nil {
		s.add(hashOf(data))
	}
}
