// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package forwardauth asks another service about each request. An answer 2xx lets
// it pass, with what the service says of the client; everything else, no answer
// included, keeps it from the backend.
//
// The service gets a GET without a body, made by the gateway. Its redirects are
// answers like others and never followed: a login page that answers 200 is no
// permission.
package forwardauth

import (
	"net/http"
	"net/url"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/peer"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/scope"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/setcookie"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/spelling"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

type rule struct {
	authURL     *url.URL
	signIn      string
	forwardHost bool
	client      peer.HTTP
	// copied are the headers that the service gets.
	copied []string
	// headers and params are what the backend gets; identity are the names of the
	// first, in all their spellings.
	headers, params []mapping
	identity        spelling.Names
	cookies         *[]string
}

// Handler implements definition.Rule.
func (a *rule) Handler(b definition.Build, next http.Handler) (http.Handler, error) {
	covered, err := scope.Compile(b.Paths, b.Route.Path)
	if err != nil {
		return nil, err
	}
	// Connections are shared by all who ask in the same way, and outlive reloads.
	client, release, err := pool.Get(b.Pool, a.client, func() (*peer.Client, error) { return peer.NewClient(a.client) })
	if err != nil {
		return nil, err
	}
	b.Track(release)
	return &handler{rule: a, build: b, covered: covered, client: client, next: next}, nil
}

type handler struct {
	*rule

	build   definition.Build
	covered *scope.Scope
	client  *peer.Client
	next    http.Handler
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.covered.Covers(r) {
		h.identity.Delete(r)
		h.next.ServeHTTP(w, r)
		return
	}
	x := exchange.Of(r)
	if len(r.Header["Authorization"]) > 1 {
		// The service and the backend might each believe another one.
		h.refuse(w, r, http.StatusUnauthorized)
		return
	}
	said, err := ask(h.client, h.question(r, x))
	switch {
	case err != nil:
		h.unanswered(w, r, err)
	case said.passes():
		x.Identified = true
		h.identity.Delete(r)
		h.identify(r.Header, said.header)
		setcookie.Serve(h.next, w, h.parameters(r, said.header), said.cookies(h.cookies))
	default:
		h.denied(w, r, said)
	}
}

// unanswered denies a request that nobody decided on.
func (h *handler) unanswered(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil && h.build.Logger != nil {
		h.build.Logger.Warn("the authentication service gives no answer; the request is denied",
			"route", h.build.Route.Name, "middleware", h.build.Name, "host", h.authURL.Host, "err", err)
	}
	h.refuse(w, r, http.StatusInternalServerError)
}

// denied answers as the service did, with a body of our own.
func (h *handler) denied(w http.ResponseWriter, r *http.Request, said answer) {
	setcookie.Add(w.Header(), said.cookies(h.cookies))
	switch {
	case said.status >= 500:
		h.refuse(w, r, http.StatusInternalServerError)
	case said.status == http.StatusUnauthorized && h.signIn != "":
		exchange.Of(r).Reason = reason
		w.Header().Set("Location", h.signInURL(r))
		w.WriteHeader(http.StatusFound)
	case said.status == http.StatusUnauthorized, said.status == http.StatusForbidden:
		if challenges := said.header["Www-Authenticate"]; len(challenges) > 0 {
			w.Header()["Www-Authenticate"] = challenges
		}
		h.refuse(w, r, said.status)
	default:
		h.refuse(w, r, http.StatusUnauthorized)
	}
}

func (h *handler) signInURL(r *http.Request) string {
	if !strings.Contains(h.signIn, "?") {
		return h.signIn
	}
	return h.signIn + url.QueryEscape(address(r, exchange.Of(r)))
}

const reason = "forward_auth"

func (h *handler) refuse(w http.ResponseWriter, r *http.Request, status int) {
	exchange.Of(r).Reason = reason
	reply.Error(w, r, status, "")
}
