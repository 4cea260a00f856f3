// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package client tells the clients of a limit apart: by address, or by a value of
// their requests.
package client

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

// The sources of a client's key.
const (
	sourceIP     = "ip"
	sourceHeader = "header"
	sourceCookie = "cookie"
	sourceQuery  = "query"
	sourceClaim  = "claim"
)

// Strategy tells clients apart.
type Strategy struct {
	// Source is ip, header, cookie, query or claim. A request without the value is
	// told apart by its address.
	Source string `json:"source"`
	// Name is that of the header, cookie or query parameter, or the dotted path of
	// the claim, of a token that a jwt middleware before this one has verified.
	Name string `json:"name"`
}

// Settle brings a strategy to one form, and gives what is wrong with it, below the
// field of a rule. C6
func (k *Strategy) Settle(field string) []config.Problem {
	k.Source = strings.ToLower(k.Source)
	switch k.Source {
	case "", sourceIP:
		*k = Strategy{Source: sourceIP}
	case sourceHeader, sourceCookie, sourceQuery, sourceClaim:
		if k.Name == "" {
			return []config.Problem{definition.Invalid(field+".name", "name the %s", k.Source)}
		}
	default:
		return []config.Problem{definition.Invalid(field+".source", "unknown value %q; use ip, header, cookie, query or claim", k.Source)}
	}
	return nil
}

// Key tells clients apart: by address, or by the digest of a value.
type Key struct {
	address netip.Addr
	digest  [sha256.Size]byte
}

// String is the client's part of a key of the shared store. It does not tell the
// value, which may be a credential.
func (k Key) String() string {
	if k.address.IsValid() {
		return "ip:" + k.address.String()
	}
	const half = sha256.Size / 2
	return "key:" + hex.EncodeToString(k.digest[:half])
}

// Address is the key of an address.
func Address(a netip.Addr) Key { return Key{address: network(a)} }

// Identify gives the client's key. Values are hashed, so that long ones cost no
// more memory than short ones; what is missing falls back to the address. M21
func (k Strategy) Identify(r *http.Request) Key {
	if value := k.value(r); value != "" {
		return Key{digest: sha256.Sum256([]byte(value))}
	}
	return Address(exchange.Of(r).ClientIP)
}

func (k Strategy) value(r *http.Request) string {
	switch k.Source {
	case sourceHeader:
		return r.Header.Get(k.Name)
	case sourceCookie:
		if c, err := r.Cookie(k.Name); err == nil {
			return c.Value
		}
	case sourceQuery:
		return parameter(r.URL.RawQuery, k.Name)
	case sourceClaim:
		if claim := exchange.Of(r).Claim; claim != nil {
			value, _ := claim(k.Name)
			return value
		}
	}
	return ""
}

// parameter is the first value of a query parameter, which need not be well-formed.
func parameter(query, name string) string {
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if unescaped(key) == name {
			return unescaped(value)
		}
	}
	return ""
}

func unescaped(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}

// network is the part of an address that stands for one customer: a whole IPv4
// address, or a /64 of IPv6. M21
func network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}
