// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"net/url"
	"strings"
)

// redactQuery hides the values of parameters that may hold credentials.
func redactQuery(raw string) string {
	if raw == "" {
		return ""
	}
	parts := strings.Split(clip(raw, maxValueBytes), "&")
	for i, part := range parts {
		name, _, ok := strings.Cut(part, "=")
		decoded, err := url.QueryUnescape(name)
		if ok && (err != nil || sensitive(decoded)) {
			parts[i] = name + "=***"
		}
	}
	return strings.Join(parts, "&")
}

// sensitive tells by its name whether a header or parameter may hold a credential.
func sensitive(name string) bool {
	name = strings.ToLower(name)
	for _, part := range []string{
		"auth", "cookie", "token", "secret", "passw", "credential", "session", "signature", "assertion", "jwt", "key",
	} {
		if strings.Contains(name, part) {
			return true
		}
	}
	switch name {
	case "code", "state", "sig", "nonce", "ticket", "otp", "pin", "pass", "pwd", "referer":
		return true
	}
	return false
}
