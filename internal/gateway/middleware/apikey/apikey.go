// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package apikey lets requests pass that bring one of the keys of a list, in a
// header, a parameter of the query, or a cookie.
//
// Keys are compared by their digests, which are found in a time that says nothing
// about them. A request has to bring exactly one key, in one place: of two, the
// backend and the gateway might each believe another one. The backend does not see
// the key unless it is told to, but may learn whose it is.
package apikey

import (
	"net/http"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/scope"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/spelling"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

type rule struct {
	keys  keys
	place place
	// forward keeps the key in the request.
	forward bool
	// nameHeader tells the backend the name of the key; empty is none. identity are
	// its spellings. P8
	nameHeader string
	identity   spelling.Names
}

// Handler implements definition.Rule.
func (a *rule) Handler(b definition.Build, next http.Handler) (http.Handler, error) {
	covered, err := scope.Compile(b.Paths, b.Route.Path)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.identity.Delete(r)
		if !covered.Covers(r) {
			next.ServeHTTP(w, r)
			return
		}
		key, ok := a.place.find(r)
		if !ok {
			refuse(w, r)
			return
		}
		name, ok := a.keys.nameOf(key)
		if !ok {
			refuse(w, r)
			return
		}
		if !a.forward {
			r = a.place.without(r)
		}
		if a.nameHeader != "" {
			r.Header[a.nameHeader] = name
		}
		exchange.Of(r).Identified = true
		next.ServeHTTP(w, r)
	}), nil
}

// refuse does not tell what is wrong with the key.
func refuse(w http.ResponseWriter, r *http.Request) {
	exchange.Of(r).Reason = "api_key"
	w.Header().Set("WWW-Authenticate", "ApiKey")
	reply.Error(w, r, http.StatusUnauthorized, "401 Unauthorized")
}
