// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/netip"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// identify decides who the client is. The scheme is that of the listener, whatever
// :scheme an HTTP/2 client sends.
func (e *EntryPoint) identify(s *settings, x *exchange.Exchange, r *http.Request) {
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		x.PeerIP = plain(at.Addr())
	}
	x.Scheme = "http"
	if e.secure {
		x.Scheme = "https"
	}
	x.ClientIP, x.PeerTrusted = x.PeerIP, s.trust.has(x.PeerIP)
	if x.PeerTrusted {
		x.ClientIP = s.trust.client(x.PeerIP, r.Header)
		x.Scheme = scheme(x.Scheme, r.Header)
	}
	x.ClientRequestID = validID(r.Header["X-Request-Id"])
	if x.RequestID = x.ClientRequestID; x.RequestID == "" {
		x.RequestID = newID()
	}
}

// plain gives an address its one form: IPv4 mapped into IPv6 is IPv4.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

const maxIDBytes = 128

// validID takes one id of letters, digits and a few signs. B5
func validID(values []string) string {
	if len(values) != 1 || values[0] == "" || len(values[0]) > maxIDBytes {
		return ""
	}
	for _, c := range []byte(values[0]) {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case strings.IndexByte("-_.:/+=@", c) >= 0:
		default:
			return ""
		}
	}
	return values[0]
}

func newID() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails
	return hex.EncodeToString(raw[:])
}
