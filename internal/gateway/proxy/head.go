// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"net/http"
	"strconv"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/downstream"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/http1"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"
)

// provenance is what a trusted peer says of where a request comes from, and the
// gateway goes on with.
type provenance struct {
	chain []string
	host  string
	// traced says that the gateway sends a trace context of its own.
	traced bool
	// hops is how many gateways there were before.
	hops int
}

// passes decides about one field of a request: it is false for a field that ends
// here, or that the gateway writes itself. What it keeps of the client's word is
// put down in p. See requestHeader. P6, P7
func (p *provenance) passes(name, value string, id http1.ID, trusted bool) bool {
	switch id {
	case http1.Host, http1.ContentLength, http1.TransferEncoding, http1.Expect:
		return false
	case http1.TraceParent, http1.TraceState:
		return !p.traced
	case http1.Provenance:
	default:
		if len(name) == len(hopsHeader) && strings.EqualFold(name, hopsHeader) {
			p.hops = max(p.hops, hopsOf(value))
			return false
		}
		return true
	}
	if !trusted || strings.Contains(name, "_") {
		return false
	}
	switch {
	case strings.EqualFold(name, forwardedFor):
		p.chain = append(p.chain, value)
	case strings.EqualFold(name, forwardedHost):
		if p.host == "" {
			p.host = value
		}
	case strings.EqualFold(name, realIP), strings.EqualFold(name, forwardedProto):
	default:
		return true
	}
	return false
}

// append appends the fields that tell the backend whom the request comes from.
func (p *provenance) append(dst []byte, x *exchange.Exchange, host string) []byte {
	if x.PeerIP.IsValid() {
		dst = append(dst, forwardedFor+": "...)
		for _, line := range p.chain {
			dst = append(append(dst, line...), ", "...)
		}
		dst = append(x.PeerIP.AppendTo(dst), "\r\n"...)
	}
	if x.ClientIP.IsValid() {
		dst = append(x.ClientIP.AppendTo(append(dst, realIP+": "...)), "\r\n"...)
	}
	if x.Scheme != "" {
		dst = http1.AppendField(dst, forwardedProto, x.Scheme)
	}
	if p.host != "" {
		host = p.host
	}
	if host != "" {
		dst = http1.AppendField(dst, forwardedHost, host)
	}
	x.Hops = p.hops + 1
	dst = append(strconv.AppendInt(append(dst, hopsHeader+": "...), int64(x.Hops), 10), "\r\n"...)
	return appendTrace(dst, x.Span)
}

// appendTrace appends the place of the request in its trace.
func appendTrace(dst []byte, s *exchange.Span) []byte {
	if s == nil {
		return dst
	}
	dst = append(s.AppendParent(append(dst, traceParent+": "...)), "\r\n"...)
	if s.State != "" {
		dst = http1.AppendField(dst, traceState, s.State)
	}
	return dst
}

// appendTarget appends the request line and the host.
func (h *handler) appendTarget(dst []byte, x *exchange.Exchange, method, path, query string, asked bool, host string, e *upstream.Endpoint) []byte {
	x.UpstreamPrefix, x.UpstreamPath = e.Path(), h.rewrite.apply(path)
	dst = append(append(dst, method...), ' ')
	dst = append(append(dst, x.UpstreamPrefix...), x.UpstreamPath...)
	if asked {
		dst = append(append(dst, '?'), query...)
	}
	dst = append(dst, " HTTP/1.1\r\n"...)
	if !h.keepHost || host == "" {
		host = e.Host()
	}
	return http1.AppendField(dst, "Host", host)
}

// appendStream appends the head of the request to an endpoint.
func (h *handler) appendStream(dst []byte, s *downstream.Stream, x *exchange.Exchange, t target, e *upstream.Endpoint) []byte {
	dst = h.appendTarget(dst, x, s.Method(), x.Path, t.query, t.asked, x.Host, e)
	p := provenance{traced: x.Span != nil}
	trailers := false
	for i := range s.Head.Fields {
		f := &s.Head.Fields[i]
		name, value := f.Name.In(s.Text), f.Value.In(s.Text)
		if f.ID == http1.TE {
			trailers = trailers || listsTrailers(value)
		}
		if s.Head.EndsHereIn(s.Text, f) || !p.passes(name, value, f.ID, x.PeerTrusted) {
			continue
		}
		dst = http1.AppendField(dst, name, value)
	}
	dst = p.append(dst, x, x.Host)
	if trailers {
		dst = append(dst, "Te: trailers\r\n"...)
	}
	if s.Head.Length > 0 || expectsBody(s.Method()) {
		dst = http1.AppendLength(dst, s.Head.Length)
	}
	return append(dst, "\r\n"...)
}

// appendRequest appends the head of the request to an endpoint. upgrade is the
// protocol to change to, if any; wait says that the body is held back until the
// endpoint wants it.
func (h *handler) appendRequest(dst []byte, r *http.Request, x *exchange.Exchange, e *upstream.Endpoint, upgrade string, wait bool) []byte {
	u := r.URL
	dst = h.appendTarget(dst, x, r.Method, u.EscapedPath(), u.RawQuery, u.RawQuery != "" || u.ForceQuery, r.Host, e)
	p := provenance{traced: x.Span != nil}
	for name, values := range r.Header {
		id := http1.Identify(name)
		if oneHop(id) || !http1.ValidName(name) {
			continue
		}
		theirs := id == http1.Provenance && !ours.Has(name) // of a middleware, or a trusted proxy
		for _, value := range values {
			if http1.ValidValue(value) && (theirs || p.passes(name, value, id, x.PeerTrusted)) {
				dst = http1.AppendField(dst, name, value)
			}
		}
	}
	dst = p.append(dst, x, r.Host)
	if upgrade != "" {
		dst = http1.AppendField(append(dst, "Connection: Upgrade\r\n"...), "Upgrade", upgrade)
	}
	if acceptsTrailers(r.Header) {
		dst = append(dst, "Te: trailers\r\n"...)
	}
	if wait {
		dst = append(dst, "Expect: 100-continue\r\n"...)
	}
	switch {
	case !hasBody(r):
		if expectsBody(r.Method) {
			dst = http1.AppendLength(dst, 0)
		}
	case r.ContentLength > 0:
		dst = http1.AppendLength(dst, r.ContentLength)
	default:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
		dst = appendTrailerNames(dst, r.Trailer)
	}
	return append(dst, "\r\n"...)
}

func appendTrailerNames(dst []byte, trailer http.Header) []byte {
	for name := range trailer {
		if trailerPasses(name) && http1.ValidName(name) {
			dst = http1.AppendField(dst, "Trailer", name)
		}
	}
	return dst
}

func hasBody(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
}

// expectsBody tells the methods of which a server wants to hear that there is no
// body (RFC 9110 §8.6).
func expectsBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

func listsTrailers(te string) bool {
	for token := range strings.SplitSeq(te, ",") {
		if strings.EqualFold(strings.TrimSpace(token), "trailers") {
			return true
		}
	}
	return false
}
