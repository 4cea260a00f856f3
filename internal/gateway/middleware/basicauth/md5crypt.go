// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package basicauth

import (
	"crypto/md5" //nolint:gosec // what htpasswd -m and old crypt files hold
	"crypto/subtle"
	"strings"
)

// The two magics of MD5 crypt: that of crypt(3), and that of htpasswd -m.
const (
	magicCrypt = "$1$"
	magicAPR   = "$apr1$"
)

const (
	md5Rounds      = 1000
	longestSalt    = 8
	md5DigestChars = 22
	// longestMD5Password bounds the work that a stranger can ask for.
	longestMD5Password = 256
)

// md5Hash is $magic$salt$digest.
type md5Hash struct{ magic, salt, digest string }

// parseMD5Hash reads a hash that begins with magic.
func parseMD5Hash(text, magic string) (md5Hash, error) {
	salt, digest, ok := strings.Cut(text[len(magic):], "$")
	if !ok || len(salt) > longestSalt || len(digest) != md5DigestChars || strings.Trim(digest, cryptAlphabet) != "" {
		return md5Hash{}, errMD5
	}
	return md5Hash{magic, salt, digest}, nil
}

func (h md5Hash) verify(password string) bool {
	if len(password) > longestMD5Password {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(md5Crypt(password, h.salt, h.magic)), []byte(h.digest)) == 1
}

func (md5Hash) work() int { return md5Rounds }

// md5Crypt is the digest that FreeBSD's crypt(3) introduced in 1994. Its steps
// are strange, and part of the format.
func md5Crypt(password, salt, magic string) string {
	sum := firstSum(password, salt, magic)
	for i := range md5Rounds {
		var round []byte
		if i%2 == 1 {
			round = append(round, password...)
		} else {
			round = append(round, sum[:]...)
		}
		if i%3 != 0 {
			round = append(round, salt...)
		}
		if i%7 != 0 {
			round = append(round, password...)
		}
		if i%2 == 1 {
			round = append(round, sum[:]...)
		} else {
			round = append(round, password...)
		}
		sum = md5.Sum(round) //nolint:gosec // see above
	}
	return encodeCrypt(sum)
}

func firstSum(password, salt, magic string) [md5.Size]byte {
	alternate := md5.Sum([]byte(password + salt + password)) //nolint:gosec // see above
	text := []byte(password + magic + salt)
	for left := len(password); left > 0; left -= md5.Size {
		text = append(text, alternate[:min(left, md5.Size)]...)
	}
	for bits := len(password); bits > 0; bits >>= 1 {
		if bits&1 == 1 {
			text = append(text, 0)
		} else {
			text = append(text, password[0])
		}
	}
	return md5.Sum(text) //nolint:gosec // see above
}

const cryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// encodeCrypt writes a sum in crypt's own base 64, which takes the bytes in an
// order of its own, lowest bits first.
func encodeCrypt(sum [md5.Size]byte) string {
	out := make([]byte, 0, md5DigestChars)
	put := func(value uint32, chars int) {
		for range chars {
			out = append(out, cryptAlphabet[value&63])
			value >>= 6
		}
	}
	for _, at := range [5][3]int{{0, 6, 12}, {1, 7, 13}, {2, 8, 14}, {3, 9, 15}, {4, 10, 5}} {
		put(uint32(sum[at[0]])<<16|uint32(sum[at[1]])<<8|uint32(sum[at[2]]), 4)
	}
	put(uint32(sum[11]), 2)
	return string(out)
}
