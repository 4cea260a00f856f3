// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"net/http"
	"net/netip"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// fields are those of a head.
type fields interface{ Values(name string) []string }

// identify decides who the client is. The scheme is that of the listener, whatever
// :scheme an HTTP/2 client sends. fresh names a request whose client has not.
func (e *EntryPoint) identify(x *exchange.Exchange, peer netip.Addr, h fields, fresh func() string) {
	s := e.settings.Load()
	x.PeerIP, x.Upgrades = plain(peer), s.upgrades
	x.Scheme = "http"
	if e.secure {
		x.Scheme = "https"
	}
	x.ClientIP, x.PeerTrusted = x.PeerIP, s.trust.has(x.PeerIP)
	if x.PeerTrusted {
		x.ClientIP = s.trust.client(x.PeerIP, h)
		x.Scheme = scheme(x.Scheme, h.Values(forwardedProto))
	}
	if ids := h.Values("X-Request-Id"); len(ids) == 1 {
		x.ClientRequestID = validID(ids[0])
	}
	if x.RequestID = x.ClientRequestID; x.RequestID == "" {
		x.RequestID = fresh()
	}
	if e.trace != nil {
		e.trace(x, h.Values("Traceparent"), h.Values("Tracestate"))
	}
}

// peerOf is the other end of a request's connection.
func peerOf(r *http.Request) netip.Addr {
	at, _ := netip.ParseAddrPort(r.RemoteAddr) // what is no address is none
	return at.Addr()
}

// plain gives an address its one form: IPv4 mapped into IPv6 is IPv4.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

const maxIDBytes = 128

// validID takes one id of letters, digits and a few signs. B5
func validID(value string) string {
	if value == "" || len(value) > maxIDBytes {
		return ""
	}
	for _, c := range []byte(value) {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case strings.IndexByte("-_.:/+=@", c) >= 0:
		default:
			return ""
		}
	}
	return value
}

// newID gives a request a name of its own.
func newID() string { return string(exchange.AppendID(nil)) }
