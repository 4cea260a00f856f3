// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"net/http"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
)

// The bounds on a head beside its size.
const (
	maxTargetBytes = 16 << 10
	maxFields      = 256
)

// normalise gives the request its one form: exchange, URL, target and Host agree
// from here on. The result says why a request has no such form, or is answered
// here; nil for one that goes on. P1, R3
func normalise(x *exchange.Exchange, r *http.Request) *refusal {
	if refused := bounded(r); refused != nil {
		return refused
	}
	if isConnect(r.Method) {
		return refuseConnect
	}
	if refused := setHost(x, r); refused != nil {
		return refused
	}
	if r.RequestURI == "*" && r.Method == http.MethodOptions {
		x.Path = "*"
		return answerOptions
	}
	return setPath(x, r)
}

// isConnect ignores case, since a backend may. H4
func isConnect(method string) bool { return strings.EqualFold(method, http.MethodConnect) }

// bounded counts what the server has only weighed. H9
func bounded(r *http.Request) *refusal {
	if len(r.RequestURI) > maxTargetBytes {
		return refuseTarget
	}
	if said := r.Header.Get("Content-Length"); r.ContentLength == 0 && strings.Trim(said, "0") != "" {
		return refuseLength // RFC 9113 §8.1.1. G2
	}
	fields := 0
	for _, values := range r.Header {
		fields += len(values)
	}
	if fields > maxFields {
		return refuseFields
	}
	return nil
}

// maxHeadsBytes bounds the heads of the requests that one connection of HTTP/2 has
// open, as they are in memory: a few bytes on the wire can be many of a head. G1
const maxHeadsBytes = 4 << 20

// headBytes is what the head of a request takes up (RFC 9113 §6.5.2).
func headBytes(r *http.Request) (n int64) {
	const perField = 32
	n = int64(len(r.Method) + len(r.RequestURI) + len(r.Host))
	for name, values := range r.Header {
		for _, value := range values {
			n += int64(len(name) + len(value) + perField)
		}
	}
	return n
}

// setHost makes the host canonical. In HTTP/2 a host field may stand beside
// :authority; one that says something else is two requests in one. G2
func setHost(x *exchange.Exchange, r *http.Request) *refusal {
	if r.Host == "" {
		return nil // HTTP/1.0
	}
	host, err := normal.Host(r.Host)
	if err != nil {
		return refuseHost
	}
	for _, other := range r.Header["Host"] {
		if again, err := normal.Host(other); err != nil || again != host {
			return refuseHost
		}
	}
	delete(r.Header, "Host")
	x.Host, r.Host = host, host
	return nil
}

// setPath makes path and target canonical; the query stays byte for byte. P4
func setPath(x *exchange.Exchange, r *http.Request) *refusal {
	raw, ok := rawPath(r)
	if !ok {
		return refusePath
	}
	path, err := normal.Path(raw)
	if err != nil {
		return refusePath
	}
	if strings.IndexByte(r.URL.RawQuery, '#') >= 0 {
		return refusePath
	}
	x.Path = path
	u := r.URL
	u.Scheme, u.Opaque, u.User, u.Host, u.Fragment, u.RawFragment = "", "", nil, "", "", ""
	u.Path, u.RawPath = normal.Decode(path), path
	r.RequestURI = path
	if u.RawQuery != "" || u.ForceQuery {
		r.RequestURI += "?" + u.RawQuery
	}
	return nil
}

// rawPath gives the path as it was sent, without the query. HTTP/2 has no absolute form
// (RFC 9113 §8.3.1). G2
func rawPath(r *http.Request) (path string, ok bool) {
	target, _, _ := strings.Cut(r.RequestURI, "?")
	return target, strings.HasPrefix(target, "/")
}
