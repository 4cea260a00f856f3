// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"net/http"
	"strings"
)

// maxTokenBytes is more than any token has: what is longer is not looked at.
const maxTokenBytes = 16 << 10

// refusal is a reason not to let a request pass. Its text is what the client is told.
type refusal string

func (r refusal) Error() string { return string(r) }

const (
	missing  refusal = "401 Unauthorized"
	noBearer refusal = "Missing Bearer prefix"
	invalid  refusal = "Unauthorized"
)

// bearer gives the token of a request (RFC 6750 §2.1): of exactly one Authorization
// header, and of the form of a signed token, so that nothing else is ever decoded. M15
func bearer(h http.Header) (string, error) {
	values := h["Authorization"]
	switch {
	case len(values) > 1:
		return "", invalid
	case len(values) == 0 || values[0] == "":
		return "", missing
	}
	scheme, token, _ := strings.Cut(strings.TrimSpace(values[0]), " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", noBearer
	}
	if len(token) > maxTokenBytes || !compact(token) {
		return "", invalid
	}
	return token, nil
}

// compact tells whether a text has the form of the compact serialisation (RFC 7515
// §7.1): three parts of base64url that are not empty, joined by dots.
func compact(token string) bool {
	dots, last := 0, -1
	for i := range len(token) {
		c := token[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		case c == '.':
			if dots++; dots > 2 || i == last+1 {
				return false
			}
			last = i
		default:
			return false
		}
	}
	return dots == 2 && last < len(token)-1
}
