// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"net/http"
	"net/http/httptest"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/ldap/ldaptest"
)

// The servers that middlewares of the contract ask. They live as long as the test.
var (
	// authService lets everybody pass, with a cookie, who does not say no.
	authService = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "seen=1")
		if r.Header.Get("X-No") != "" {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	// people is a directory with one user, ann, whose password is a.
	people = ldaptest.New()
)

const nobodyListens = "127.0.0.1:1"
