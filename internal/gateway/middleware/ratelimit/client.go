// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// The sources of a client's key.
const (
	sourceIP     = "ip"
	sourceHeader = "header"
	sourceCookie = "cookie"
	sourceQuery  = "query"
	sourceClaim  = "claim"
)

// clientKey tells clients apart: by address, or by the digest of a value.
type clientKey struct {
	address netip.Addr
	digest  [sha256.Size]byte
}

// String is the client's part of a key of the shared store. It does not tell the
// value, which may be a credential.
func (k clientKey) String() string {
	if k.address.IsValid() {
		return "ip:" + k.address.String()
	}
	const half = sha256.Size / 2
	return "key:" + hex.EncodeToString(k.digest[:half])
}

// identify gives the client's key. Values are hashed, so that long ones cost no
// more memory than short ones; what is missing falls back to the address. M21
func (k KeyStrategy) identify(r *http.Request) clientKey {
	if value := k.value(r); value != "" {
		return clientKey{digest: sha256.Sum256([]byte(value))}
	}
	return clientKey{address: network(exchange.Of(r).ClientIP)}
}

func (k KeyStrategy) value(r *http.Request) string {
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
