// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"io"
	"net/http"
	"testing"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// A type that lets requests pass for who sends them may take out of them what shows
// it. What comes behind it must know all the same.
func TestACacheBehindAuthenticationSharesNothing(t *testing.T) { // M24
	t.Parallel()
	for _, kind := range []string{"basic", "ldap", "jwt", "oauth", "apiKey", "forwardAuth"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			hits := 0
			cache := handler(t, "httpCache", `{"maxTtl":60}`, func(w http.ResponseWriter, _ *http.Request) {
				hits++
				w.Header().Set("Cache-Control", "max-age=60")
				_, _ = io.WriteString(w, "for one alone")
			})
			server := serve(t, kind, passing[kind], func(w http.ResponseWriter, r *http.Request) {
				if !exchange.Of(r).Identified {
					t.Error("the request does not show that it is somebody's")
				}
				r.Header.Del("Authorization") // as some types do
				r.Header.Del("Cookie")
				cache.ServeHTTP(w, r)
			})
			for range 2 {
				if _, err := io.Copy(io.Discard, request(t, t.Context(), server.URL).Body); err != nil {
					t.Fatal(err)
				}
			}
			if hits != 2 {
				t.Errorf("of two requests %d came to the backend", hits)
			}
		})
	}
}
