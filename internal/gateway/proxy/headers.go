// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/http1"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/spelling"
)

// The forwarded headers that the gateway sets.
const (
	forwardedFor   = "X-Forwarded-For"
	forwardedHost  = "X-Forwarded-Host"
	forwardedProto = "X-Forwarded-Proto"
	realIP         = "X-Real-Ip"
)

// Those of W3C Trace Context, which are the gateway's where it traces.
const (
	traceParent = "Traceparent"
	traceState  = "Tracestate"
)

// requestHeader makes the headers of the request to the backend. What ends at this
// hop goes, and what says where the request comes from, unless a trusted proxy said
// it; only then come our own, so the client can neither forge nor remove them. What
// the client's Connection lists went before the first handler, and so did all that it
// forged: another X-Forwarded-* is that of a middleware. P6, P7
func requestHeader(r *http.Request, x *exchange.Exchange) http.Header {
	out := make(http.Header, len(r.Header)+6)
	for name, values := range r.Header {
		id := http1.Identify(name)
		if oneHop(id) || len(values) == 0 {
			continue
		}
		switch id {
		case http1.Provenance:
			if !x.PeerTrusted && ours.Has(name) {
				continue
			}
		case http1.Expect, http1.ContentLength:
			continue
		case http1.TraceParent, http1.TraceState:
			if x.Span != nil {
				continue
			}
		default:
		}
		out[name] = values
	}
	setForwarded(out, r, x)
	if x.Span != nil {
		out[traceParent] = []string{x.Span.ParentHeader()}
		if x.Span.State != "" {
			out[traceState] = []string{x.Span.State}
		}
	}
	x.Hops = 1
	for _, value := range out[hopsHeader] {
		x.Hops = max(x.Hops, hopsOf(value)+1)
	}
	out[hopsHeader] = []string{strconv.Itoa(x.Hops)}
	if token := upgradeToken(r, x); token != "" {
		out["Connection"], out["Upgrade"] = []string{"Upgrade"}, []string{token}
	}
	if acceptsTrailers(r.Header) {
		out["Te"] = []string{"trailers"}
	}
	if _, ok := out["User-Agent"]; !ok {
		out["User-Agent"] = nil // or net/http would send its own
	}
	return out
}

// ours are the fields that the gateway writes itself, and Forwarded, which would
// contradict them, in any spelling.
var ours = spelling.Of(forwardedFor, forwardedHost, forwardedProto, realIP, "Forwarded")

// setForwarded tells the backend whom the request comes from: each hop once.
func setForwarded(out http.Header, r *http.Request, x *exchange.Exchange) {
	if peer := text(x.PeerIP); peer != "" {
		chain := strings.Join(out[forwardedFor], ", ")
		if chain == "" {
			chain = peer
		} else {
			chain += ", " + peer
		}
		out[forwardedFor] = []string{chain}
	}
	if client := text(x.ClientIP); client != "" {
		out[realIP] = []string{client}
	}
	if x.Scheme != "" {
		out[forwardedProto] = []string{x.Scheme}
	}
	if told := out[forwardedHost]; len(told) > 0 {
		out[forwardedHost] = told[:1:1]
	} else if r.Host != "" {
		out[forwardedHost] = []string{r.Host}
	}
}

func text(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	return ip.Unmap().WithZone("").String()
}

// oneHop tells the headers that always concern one connection.
func oneHop(id http1.ID) bool { return id.HopByHop() || id == http1.TransferEncoding }

// endsHere tells the headers of a response that concern one connection: the
// hop-by-hop ones, and those that Connection lists. Framing and the host cannot be
// listed away.
func endsHere(name string, listed []string) bool {
	id := http1.Identify(name)
	if oneHop(id) {
		return true
	}
	if id == http1.ContentLength || id == http1.Host {
		return false
	}
	for _, option := range listed {
		if strings.EqualFold(option, name) {
			return true
		}
	}
	return false
}

// connectionOptions gives what all Connection headers list.
func connectionOptions(h http.Header) []string {
	var out []string
	for _, line := range h["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			if option = strings.TrimSpace(option); option != "" {
				out = append(out, option)
			}
		}
	}
	return out
}

// upgradeToken gives the protocol that a client asks for, of those that may be
// tunnelled: WebSocket and what is configured, in any case. Everything else, h2c above
// all, is a plain request. H5
func upgradeToken(r *http.Request, x *exchange.Exchange) string {
	tokens := r.Header["Upgrade"]
	if len(tokens) != 1 || r.ProtoMajor != 1 || r.ProtoMinor < 1 || r.Method != http.MethodGet || r.ContentLength != 0 {
		return ""
	}
	token := strings.TrimSpace(tokens[0])
	if !strings.EqualFold(token, "websocket") && !listed(x.Upgrades, token) {
		return ""
	}
	if listed(connectionOptions(r.Header), "upgrade") {
		return token
	}
	return ""
}

// listed tells whether a list has a token, in any case.
func listed(list []string, token string) bool {
	return slices.ContainsFunc(list, func(one string) bool { return strings.EqualFold(one, token) })
}

// acceptsTrailers tells whether a client takes trailers, which gRPC needs.
func acceptsTrailers(h http.Header) bool {
	for _, line := range h["Te"] {
		if listsTrailers(line) {
			return true
		}
	}
	return false
}
