// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// key is what an answer is the answer to. GET and HEAD share it.
type key struct {
	// route stands for the route and its backend.
	route              string
	scheme, host, path string
	query              string
	// shape holds the request headers by which backends are known to make another
	// answer without telling so by Vary. Most requests have none.
	shape string
}

// keyOf gives the key of a request. Its texts belong to the request.
func (h *handler) keyOf(r *http.Request, x *exchange.Exchange) key {
	return key{
		route: h.route, scheme: x.Scheme, host: x.Host, path: x.Path,
		query: h.query.of(r.URL.RawQuery), shape: shapeOf(r.Header),
	}
}

// own is the key with texts of its own, which keep nothing else in memory.
func (k key) own() key {
	k.scheme, k.host, k.path = strings.Clone(k.scheme), strings.Clone(k.host), strings.Clone(k.path)
	k.query, k.shape = strings.Clone(k.query), strings.Clone(k.shape)
	return k
}

// plain is the key without what shapes its answer.
func (k key) plain() key {
	k.shape = ""
	return k
}

func (k key) size() int64 {
	return int64(len(k.scheme) + len(k.host) + len(k.path) + len(k.query) + len(k.shape))
}

// of gives the part of a query that tells answers apart, with its parameters in the
// order of their names. Those of one name keep their order.
func (q querySelection) of(raw string) string {
	if q.none || raw == "" {
		return ""
	}
	if len(q.only) == 0 && !strings.Contains(raw, "&") {
		return raw
	}
	parts := strings.Split(raw, "&")
	if len(q.only) > 0 {
		parts = slices.DeleteFunc(parts, func(part string) bool { return !slices.Contains(q.only, nameOf(part)) })
	}
	byName := func(a, b string) int { return strings.Compare(nameOf(a), nameOf(b)) }
	if len(q.only) == 0 && slices.IsSortedFunc(parts, byName) {
		return raw
	}
	slices.SortStableFunc(parts, byName)
	return strings.Join(parts, "&")
}

func nameOf(part string) string {
	name, _, _ := strings.Cut(part, "=")
	if strings.ContainsAny(name, "%+") {
		if decoded, err := url.QueryUnescape(name); err == nil {
			return decoded
		}
	}
	return name
}

// shaping are the headers of shape. Applications and frameworks take the target,
// the method or links from them. M26
func shaping(name string) bool {
	switch name {
	case "Forwarded", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Scheme", "X-Forwarded-Server",
		"X-Forwarded-Ssl", "X-Forwarded-Path", "X-Forwarded-Uri", "X-Original-Url", "X-Original-Uri", "X-Original-Host",
		"X-Rewrite-Url", "X-Host", "X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Url-Scheme", "Front-End-Https":
		return true
	}
	return false
}

func shapeOf(h http.Header) string {
	var few [4]string
	found := few[:0]
	for name := range h {
		if shaping(name) {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return ""
	}
	slices.Sort(found)
	var b strings.Builder
	for _, name := range found {
		for _, value := range h[name] {
			b.WriteString(name)
			b.WriteByte(':')
			b.WriteString(value)
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// personal says whether a request is one of somebody in particular: its answer is
// for nobody else, unless the backend says so. M24
func personal(r *http.Request, x *exchange.Exchange) bool {
	h := r.Header
	return x.Identified || len(h["Authorization"]) > 0 || len(h["Cookie"]) > 0 || len(h["Proxy-Authorization"]) > 0 ||
		r.TLS != nil && len(r.TLS.PeerCertificates) > 0
}
