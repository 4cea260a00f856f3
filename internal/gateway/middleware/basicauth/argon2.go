// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package basicauth

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

const magicArgon2 = "$argon2id$"

// The costs that a hash may ask for (RFC 9106 §3.1). The bounds keep a rule from
// taking the memory and the time of the whole gateway.
const (
	argon2MaxMemoryKiB = 128 << 10
	argon2MaxTime      = 10
	argon2MaxThreads   = 16
	argon2MinSalt      = 8
	argon2MinDigest    = 12
	argon2MaxBytes     = 64 // of salt and digest
)

// argon2Hash is $argon2id$v=19$m=…,t=…,p=…$salt$digest.
type argon2Hash struct {
	memory, time uint32
	threads      uint8
	salt, digest []byte
}

func parseArgon2(text string) (argon2Hash, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return argon2Hash{}, errArgon2
	}
	var h argon2Hash
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); err != nil || n != 3 ||
		parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", h.memory, h.time, h.threads) {
		return argon2Hash{}, errArgon2
	}
	if h.time < 1 || h.time > argon2MaxTime || h.threads < 1 || h.threads > argon2MaxThreads ||
		h.memory < 8*uint32(h.threads) || h.memory > argon2MaxMemoryKiB {
		return argon2Hash{}, errArgon2Cost
	}
	var err, other error
	h.salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	h.digest, other = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err != nil || other != nil || len(h.salt) < argon2MinSalt || len(h.digest) < argon2MinDigest || max(len(h.salt), len(h.digest)) > argon2MaxBytes {
		return argon2Hash{}, errArgon2
	}
	return h, nil
}

func (h argon2Hash) verify(password string) bool {
	got := argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.digest)))
	return subtle.ConstantTimeCompare(got, h.digest) == 1
}

// work is about that of the hashes of other kinds: a KiB takes what sixteen rounds
// of MD5 take.
func (h argon2Hash) work() int { return 16 * int(h.memory) * int(h.time) }
