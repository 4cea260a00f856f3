// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"regexp"
	"strings"
)

// Secret is a value that must not be seen. It prints, and is encoded, as ***;
// only Reveal gives it out. A value that is just a reference to the environment,
// ${NAME}, is not secret and is encoded as it is, so that a file which names its
// secrets by variable can be written.
type Secret string

// Reveal gives the value, for use and never for print.
func (s Secret) Reveal() string { return string(s) }

// String hides the value.
func (s Secret) String() string { return s.public() }

// GoString hides the value from %#v.
func (s Secret) GoString() string { return `"` + s.public() + `"` }

// MarshalJSON hides the value, unless it is a reference.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.public()) }

var reference = regexp.MustCompile(`^\$\{[A-Za-z_][A-Za-z0-9_]*\}$`)

func (s Secret) public() string {
	if s == "" || reference.MatchString(string(s)) {
		return string(s)
	}
	return "***"
}

// PrivateKey is a private key as a path, PEM text or base64 of PEM text. A path
// is shown; the key itself prints, and is encoded, as ***.
type PrivateKey string

// Reveal gives the value as written.
func (k PrivateKey) Reveal() string { return string(k) }

// String gives the path, or *** for a key given in place.
func (k PrivateKey) String() string { return k.public() }

// GoString hides the key from %#v.
func (k PrivateKey) GoString() string { return `"` + k.public() + `"` }

// MarshalJSON writes the path, or *** for a key given in place.
func (k PrivateKey) MarshalJSON() ([]byte, error) { return json.Marshal(k.public()) }

func (k PrivateKey) public() string {
	s := string(k)
	if strings.HasPrefix(s, "/") && !strings.Contains(s, "\n") && len(s) < 256 {
		return s
	}
	return Secret(s).public()
}
