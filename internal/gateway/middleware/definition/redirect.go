// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package definition

import (
	"net/http"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// challengePath is where certificate authorities ask: no redirect may send them
// elsewhere.
const challengePath = "/.well-known/acme-challenge/"

// IsChallenge tells the requests of certificate authorities (RFC 8555 §8.3).
func IsChallenge(r *http.Request) bool {
	return strings.HasPrefix(exchange.Of(r).Path, challengePath)
}

// RedirectStatus is 301 or 302; 308 or 307 to methods other than GET and HEAD, so
// that they keep method and body.
func RedirectStatus(method string, permanent bool) int {
	safe := method == http.MethodGet || method == http.MethodHead
	switch {
	case permanent && safe:
		return http.StatusMovedPermanently
	case permanent:
		return http.StatusPermanentRedirect
	case safe:
		return http.StatusFound
	default:
		return http.StatusTemporaryRedirect
	}
}

// OnThisHost gives a Location that stays on the host of the request: one that
// browsers would read as another host, such as //evil.com or /\evil.com, becomes
// the path that it looks like. M31
func OnThisHost(location string) string {
	return "/" + strings.TrimLeft(location, "/\\")
}
