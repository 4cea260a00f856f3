// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package exchange

import "math/rand/v2"

// IDBytes is how long an id is.
const IDBytes = 32

// AppendID appends the id of a request: 32 random hex digits. It needs to be unlike
// any other, not to be secret.
func AppendID(dst []byte) []byte {
	const digits = "0123456789abcdef"
	for range IDBytes / 16 {
		bits := rand.Uint64() //nolint:gosec // as above
		for range 16 {
			dst = append(dst, digits[bits&15])
			bits >>= 4
		}
	}
	return dst
}
