// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package basicauth

import (
	"strings"
	"testing"
)

// The hashes are what openssl passwd -1 and -apr1 print.
func TestMD5CryptAgreesWithOpenSSL(t *testing.T) { // M6
	t.Parallel()
	for _, c := range []struct{ name, password, apr1, crypt string }{
		{"one letter", "a", "$apr1$12345678$68ZQVfPkWX/wcXr/41VxQ.", "$1$12345678$3Uz6TyHSiGZR0yDMOX3jO0"},
		{"a short salt", "a", "$apr1$ab$MW8Wizufu9hz465GKNNrn.", "$1$ab$NM4FR4Dl/CzoTSJTd3YJ3."},
		{"two words", "correct horse", "$apr1$12345678$DvW2dtLO13KlDSRAQu7w8.", "$1$12345678$pi.G6emtL4uL66v2z.IvR1"},
		{"not only ASCII", "pässwörd", "$apr1$12345678$0NJU6izOW5MGH4BL2C/sK/", "$1$12345678$mQ1/t.WwP76MO4VquZEL.0"},
		{"more than two sums", strings.Repeat("x", 40), "$apr1$12345678$lmvIejSHXo9SZNHoskkNr0", "$1$12345678$WmUwxmYnSdAX9cEZA7SiC."},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, hash := range []string{c.apr1, c.crypt} {
				v, err := newVerifier(hash)
				if err != nil {
					t.Fatal(err)
				}
				if !v.verify(c.password) || v.verify(c.password+"x") || v.verify("") {
					t.Errorf("%s does not tell its password from others", hash)
				}
			}
		})
	}
}

func TestMD5CryptDoesNotHashWhatIsTooLong(t *testing.T) { // M7
	t.Parallel()
	long := strings.Repeat("x", longestMD5Password+1)
	h := md5Hash{magicAPR, "salt", md5Crypt(long, "salt", magicAPR)}
	if h.verify(long) {
		t.Error("an endless password is hashed")
	}
}
