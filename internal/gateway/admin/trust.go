// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// bearer tells whether the request has the token. The time it takes tells nothing
// about the token, its length included.
func bearer(r *http.Request, token config.Secret) bool {
	scheme, given, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if token == "" || !ok || !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	a, b := sha256.Sum256([]byte(strings.TrimSpace(given))), sha256.Sum256([]byte(token.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// trusted guards what only the operator of the gateway should see: it takes a
// connection from this machine, as kubectl port-forward makes one, or the reload
// token. A page in a browser on this machine has a Host that is not local, which
// is how rebinding attacks are told.
func (e *Endpoints) trusted(token config.Secret, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		local := loopback(r.RemoteAddr) && loopback(r.Host)
		if !bearer(r, token) && !local {
			reply.Error(w, r, http.StatusForbidden, "403 Forbidden: connect from this machine or send the reload token")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// loopback tells whether address, with or without a port, is this machine's.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
