// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"net/http"
	"strings"
)

// bindsConnection tells the schemes of authentication that, against RFC 9110 §11.1,
// make the user known for a whole connection and not for one request. A connection
// to a backend that has carried one is never used for another client; what needs
// several requests on one connection, as NTLM does, is thereby refused.
// CVE-2026-88007. H12
func bindsConnection(authorization string) bool {
	scheme, _, _ := strings.Cut(authorization, " ")
	return strings.EqualFold(scheme, "NTLM") || strings.EqualFold(scheme, "Negotiate")
}

func binds(h http.Header) bool {
	for _, value := range h["Authorization"] {
		if bindsConnection(value) {
			return true
		}
	}
	return false
}
