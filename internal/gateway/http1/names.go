// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http1

import "strings"

// ID says which field a line holds, of those that the engine treats specially.
type ID uint8

// The fields with a meaning for framing, connection or provenance.
const (
	Other ID = iota
	Host
	ContentLength
	TransferEncoding
	Expect

	// Hop-by-hop fields (RFC 9110 §7.6.1); they end here.
	Connection
	KeepAlive
	ProxyConnection
	ProxyAuthenticate
	ProxyAuthorization
	TE
	Trailer
	Upgrade
	HTTP2Settings
	// Lookalike is a spelling with _ for - of a field that says where a message ends.
	// It is none, but to a CGI-like backend it may be one.
	Lookalike

	// Provenance is Forwarded, X-Real-IP and every X-Forwarded-*, in any spelling
	// that a backend may read as one of them: with _ for - too.
	Provenance

	RequestID
	Server
	Date
	Authorization

	// TraceParent and TraceState are those of W3C Trace Context.
	TraceParent
	TraceState
)

// HopByHop tells fields that concern one connection only.
func (id ID) HopByHop() bool { return id >= Connection && id <= Lookalike }

// framing tells fields that say where a message ends, or which message it is;
// none of them may stand in a trailer.
func (id ID) framing() bool { return id == Host || id == ContentLength || id == TransferEncoding }

// InTrailer tells fields that may stand in a trailer: those that frame a message, end
// at this hop, tell where it comes from or whose it is, may not (RFC 9110 §6.5.1).
func (id ID) InTrailer() bool {
	switch id {
	case Provenance, Expect, Authorization, RequestID, TraceParent, TraceState:
		return false
	default:
		return !id.framing() && !id.HopByHop()
	}
}

// Forged tells a field of provenance that is nobody's word but the client's: that of a
// peer which is not trusted, or in a spelling that proxies do not use. P6
func Forged(id ID, name string, trusted bool) bool {
	return id == Provenance && (!trusted || strings.IndexByte(name, '_') >= 0)
}

// DropForged removes the forged fields of a head.
func DropForged(h map[string][]string, trusted bool) {
	for name := range h {
		if Forged(Identify(name), name, trusted) {
			delete(h, name)
		}
	}
}

// text is a field name as it was read, or as Go's net/http has it.
type text interface{ ~string | ~[]byte }

// Identify gives the ID of a field name.
func Identify[T text](name T) ID {
	switch len(name) {
	case 2:
		return pick(name, "te", TE)
	case 4:
		switch lower[name[0]] {
		case 'h':
			return pick(name, "host", Host)
		case 'd':
			return pick(name, "date", Date)
		}
	case 6:
		switch lower[name[0]] {
		case 'e':
			return pick(name, "expect", Expect)
		case 's':
			return pick(name, "server", Server)
		}
	case 7:
		switch lower[name[0]] {
		case 'u':
			return pick(name, "upgrade", Upgrade)
		case 't':
			return pick(name, "trailer", Trailer)
		}
	case 9:
		if isProvenance(name) {
			return Provenance
		}
	case 10:
		switch lower[name[0]] {
		case 'c':
			return pick(name, "connection", Connection)
		case 'k':
			return pick(name, "keep-alive", KeepAlive)
		case 't':
			return pick(name, "tracestate", TraceState)
		}
	case 11:
		return pick(name, "traceparent", TraceParent)
	case 12:
		return pick(name, "x-request-id", RequestID)
	case 13:
		return pick(name, "authorization", Authorization)
	case 14:
		switch lower[name[0]] {
		case 'c':
			if name[7] == '_' {
				return pick(name, "content_length", Lookalike)
			}
			return pick(name, "content-length", ContentLength)
		case 'h':
			return pick(name, "http2-settings", HTTP2Settings)
		}
	case 16:
		if id := pick(name, "proxy-connection", ProxyConnection); id != Other {
			return id
		}
	case 17:
		if id := pick(name, "transfer-encoding", TransferEncoding); id != Other {
			return id
		}
		if id := pick(name, "transfer_encoding", Lookalike); id != Other {
			return id
		}
	case 18:
		if id := pick(name, "proxy-authenticate", ProxyAuthenticate); id != Other {
			return id
		}
	case 19:
		if id := pick(name, "proxy-authorization", ProxyAuthorization); id != Other {
			return id
		}
	}
	if len(name) > len("x-forwarded") && isProvenance(name) {
		return Provenance
	}
	return Other
}

func pick[T text](name T, want string, id ID) ID {
	if equalFold(name, want) {
		return id
	}
	return Other
}

// isProvenance compares with _ read as -, as CGI-like servers do.
func isProvenance[T text](name T) bool {
	return likePrefix(name, "forwarded", true) || likePrefix(name, "x-real-ip", true) || likePrefix(name, "x-forwarded-", false)
}

func likePrefix[T text](name T, want string, whole bool) bool {
	if len(name) < len(want) || whole && len(name) != len(want) {
		return false
	}
	for i := range len(want) {
		c := lower[name[i]]
		if c == '_' {
			c = '-'
		}
		if c != want[i] {
			return false
		}
	}
	return true
}
