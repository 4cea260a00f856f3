// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package basicauth

import (
	"crypto/sha1" //nolint:gosec // {SHA} is what htpasswd files hold
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"regexp"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// verifier tells whether a password is the right one.
type verifier interface {
	verify(password string) bool
	// work says how much verifying takes, to be compared with that of others. 0
	// is too little to be worth a cache.
	work() int
}

var (
	errBcrypt = errors.New("is not a complete bcrypt hash")
	errSHA    = errors.New("is not a complete {SHA} hash")
	errMD5    = errors.New("is not a complete MD5 crypt hash")
	errArgon2 = errors.New("is not a complete argon2id hash")
	errScheme = errors.New("is a hash of a kind that is not supported; use bcrypt (htpasswd -B) or argon2id")

	errArgon2Cost = errors.New("asks for more than an argon2id hash may cost here: at most m=131072, t=10 and p=16, and m at least 8 for each p")

	// scheme is how hashes of all kinds begin: $id$… of crypt, {NAME}… of LDAP.
	scheme = regexp.MustCompile(`^(\$[A-Za-z0-9-]{1,16}\$|\{[A-Za-z0-9-]{1,20}\})`)
)

// newVerifier reads a password as it stands in a rule.
func newVerifier(text string) (verifier, error) {
	switch {
	case strings.HasPrefix(text, "$2a$"), strings.HasPrefix(text, "$2b$"), strings.HasPrefix(text, "$2y$"):
		cost, err := bcrypt.Cost([]byte(text))
		if err != nil || len(text) != 60 {
			return nil, errBcrypt
		}
		return bcryptHash{text, cost}, nil
	case strings.HasPrefix(text, magicArgon2):
		return parseArgon2(text)
	case strings.HasPrefix(text, "{SHA}"):
		sum, err := base64.StdEncoding.DecodeString(text[len("{SHA}"):])
		if err != nil || len(sum) != sha1.Size {
			return nil, errSHA
		}
		return shaHash(sum), nil
	case strings.HasPrefix(text, magicAPR):
		return parseMD5Hash(text, magicAPR)
	case strings.HasPrefix(text, magicCrypt):
		return parseMD5Hash(text, magicCrypt)
	case scheme.MatchString(text):
		return nil, errScheme
	}
	return plainText(text), nil
}

type bcryptHash struct {
	text string
	cost int
}

// longestBcryptPassword is where bcrypt cuts off: two passwords that differ only
// after it are two passwords, so that longer ones are refused.
const longestBcryptPassword = 72

func (h bcryptHash) verify(password string) bool {
	return len(password) <= longestBcryptPassword && bcrypt.CompareHashAndPassword([]byte(h.text), []byte(password)) == nil
}

// work doubles with each step of the cost; even the least is more than MD5 crypt.
func (h bcryptHash) work() int { return md5Rounds << h.cost }

type shaHash []byte

func (h shaHash) verify(password string) bool {
	sum := sha1.Sum([]byte(password)) //nolint:gosec // see above
	return subtle.ConstantTimeCompare(sum[:], h) == 1
}
func (shaHash) work() int { return 0 }

type plainText string

func (h plainText) verify(password string) bool {
	want, got := sha1.Sum([]byte(h)), sha1.Sum([]byte(password)) //nolint:gosec // only to compare texts of two lengths in one time
	return subtle.ConstantTimeCompare(want[:], got[:])&subtle.ConstantTimeCompare([]byte(h), []byte(password)) == 1
}
func (plainText) work() int { return 0 }
