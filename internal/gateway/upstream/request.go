// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"net/http"
	"net/netip"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// Request is what the choice of an endpoint may depend on. What is absent is empty.
type Request interface {
	// Field gives the first value of a header, by its canonical name, and the host
	// for Host.
	Field(name string) string
	// Cookie gives the value of the first cookie with a name.
	Cookie(name string) string
	// Query is the query as it came.
	Query() string
	// Path is the normal form of the escaped path.
	Path() string
	// Client is the address of the client.
	Client() netip.Addr
}

// Of gives a Request as handlers know it.
func Of(r *http.Request) Request { return (*handled)(r) }

type handled http.Request

func (h *handled) request() *http.Request { return (*http.Request)(h) }

// Field implements Request.
func (h *handled) Field(name string) string {
	if name == "Host" {
		return h.Host
	}
	if values := h.Header[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// Cookie implements Request.
func (h *handled) Cookie(name string) string {
	for _, line := range h.Header["Cookie"] {
		if value, ok := CookieIn(line, name); ok {
			return value
		}
	}
	return ""
}

// Query implements Request.
func (h *handled) Query() string { return h.URL.RawQuery }

// Path implements Request.
func (h *handled) Path() string { return exchange.Of(h.request()).Path }

// Client implements Request.
func (h *handled) Client() netip.Addr { return exchange.Of(h.request()).ClientIP }

// CookieIn gives the value of the first cookie with a name in a Cookie header
// (RFC 6265 §4.2.1).
func CookieIn(line, name string) (value string, ok bool) {
	for line != "" {
		var pair string
		pair, line, _ = strings.Cut(line, ";")
		key, value, found := strings.Cut(strings.Trim(pair, " \t"), "=")
		if !found || key != name {
			continue
		}
		if n := len(value); n > 1 && value[0] == '"' && value[n-1] == '"' {
			value = value[1 : n-1]
		}
		return value, true
	}
	return "", false
}
