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

	"github.com/GehirnInc/crypt"
	"github.com/GehirnInc/crypt/apr1_crypt"
	"github.com/GehirnInc/crypt/md5_crypt"
	"golang.org/x/crypto/bcrypt"
)

// verifier tells whether a password is the right one.
type verifier interface {
	verify(password string) bool
	// costly says that verifying takes long enough to be worth a cache.
	costly() bool
}

var (
	errBcrypt = errors.New("is not a complete bcrypt hash")
	errSHA    = errors.New("is not a complete {SHA} hash")
	errScheme = errors.New("is a hash of a kind that is not supported; use bcrypt (htpasswd -B)")

	// scheme is how hashes of all kinds begin: $id$… of crypt, {NAME}… of LDAP.
	scheme = regexp.MustCompile(`^(\$[A-Za-z0-9-]{1,16}\$|\{[A-Za-z0-9-]{1,20}\})`)
)

// newVerifier reads a password as it stands in a rule.
func newVerifier(text string) (verifier, error) {
	switch {
	case strings.HasPrefix(text, "$2a$"), strings.HasPrefix(text, "$2b$"), strings.HasPrefix(text, "$2y$"):
		if _, err := bcrypt.Cost([]byte(text)); err != nil || len(text) != 60 {
			return nil, errBcrypt
		}
		return bcryptHash(text), nil
	case strings.HasPrefix(text, "{SHA}"):
		sum, err := base64.StdEncoding.DecodeString(text[len("{SHA}"):])
		if err != nil || len(sum) != sha1.Size {
			return nil, errSHA
		}
		return shaHash(sum), nil
	case strings.HasPrefix(text, "$apr1$"):
		return cryptHash{apr1_crypt.New(), text}, nil
	case strings.HasPrefix(text, "$1$"):
		return cryptHash{md5_crypt.New(), text}, nil
	case scheme.MatchString(text):
		return nil, errScheme
	}
	return plainText(text), nil
}

type bcryptHash string

// verify refuses what bcrypt would cut off: two passwords that differ after 72
// bytes are two passwords.
func (h bcryptHash) verify(password string) bool {
	return len(password) <= 72 && bcrypt.CompareHashAndPassword([]byte(h), []byte(password)) == nil
}
func (bcryptHash) costly() bool { return true }

type shaHash []byte

func (h shaHash) verify(password string) bool {
	sum := sha1.Sum([]byte(password)) //nolint:gosec // see above
	return subtle.ConstantTimeCompare(sum[:], h) == 1
}
func (shaHash) costly() bool { return false }

type cryptHash struct {
	crypter crypt.Crypter
	hash    string
}

func (h cryptHash) verify(password string) bool {
	return len(password) <= 256 && h.crypter.Verify(h.hash, []byte(password)) == nil
}
func (cryptHash) costly() bool { return true }

type plainText string

func (h plainText) verify(password string) bool {
	want, got := sha1.Sum([]byte(h)), sha1.Sum([]byte(password)) //nolint:gosec // only to compare texts of two lengths in one time
	return subtle.ConstantTimeCompare(want[:], got[:])&subtle.ConstantTimeCompare([]byte(h), []byte(password)) == 1
}
func (plainText) costly() bool { return false }
