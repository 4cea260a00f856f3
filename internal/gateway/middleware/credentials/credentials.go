// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package credentials is what the types have in common that ask for a user name
// and a password (RFC 7617): how both are read, how a client is asked for them, how
// the backend learns the name, and how good ones are remembered for a while.
package credentials

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/spelling"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// DefaultRealm is the realm where a rule names none.
const DefaultRealm = "Restricted"

var errRealm = errors.New("may hold visible ASCII characters only")

// Challenge gives the value of WWW-Authenticate for a realm.
func Challenge(realm string) (string, error) {
	if realm == "" {
		realm = DefaultRealm
	}
	if strings.ContainsFunc(realm, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", errRealm
	}
	return "Basic realm=" + strconv.Quote(realm), nil
}

// Of gives the name and the password of a request. It takes exactly one
// Authorization header, and neither part may be empty. M8
func Of(r *http.Request) (name, password string, ok bool) {
	if len(r.Header["Authorization"]) != 1 {
		return "", "", false
	}
	name, password, ok = r.BasicAuth()
	if !ok || name == "" || password == "" || strings.ContainsFunc(name, control) {
		return "", "", false
	}
	return name, password, true
}

func control(c rune) bool { return c < ' ' || c == 0x7f }

// identity are the headers that tell the backend who the user is. P8
var identity = spelling.Of("X-Forwarded-User", "username")

// Forget removes what the client says of itself under the names that Forward uses.
func Forget(r *http.Request) { identity.Delete(r) }

// Forward tells the backend the name of the user.
func Forward(h http.Header, name string) {
	h["X-Forwarded-User"], h["Username"] = []string{name}, []string{name}
}

// Refuse asks the client for credentials. The reason is for the access log.
func Refuse(w http.ResponseWriter, r *http.Request, challenge, reason string) {
	exchange.Of(r).Reason = reason
	w.Header().Set("WWW-Authenticate", challenge)
	reply.Error(w, r, http.StatusUnauthorized, "401 Unauthorized")
}
