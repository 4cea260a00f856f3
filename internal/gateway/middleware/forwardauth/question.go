// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package forwardauth

import (
	"net/http"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// question is the request to the service: a GET without a body, whose head is made
// by us. Of the client's head it has what is listed and nothing else, so that
// neither framing nor a forwarded header of the client gets through. M19
func (a *rule) question(r *http.Request, x *exchange.Exchange) *http.Request {
	q := (&http.Request{
		Method: http.MethodGet, URL: a.authURL, Host: a.authURL.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header, 12+len(a.copied)),
	}).WithContext(r.Context())
	if a.forwardHost && x.Host != "" {
		q.Host = x.Host
	}
	h := q.Header
	h["User-Agent"] = []string{r.UserAgent()} // empty: none, and not that of Go
	for _, name := range a.copied {
		if values := r.Header[name]; len(values) > 0 {
			h[name] = values
		}
	}
	if values := r.Header["Authorization"]; len(values) > 0 {
		h["Authorization"] = values
	}
	if cookies := r.Header["Cookie"]; len(cookies) > 0 {
		h["Cookie"] = []string{strings.Join(cookies, "; ")}
	}
	url := address(r, x)
	h["X-Forwarded-Method"] = []string{r.Method}
	h["X-Forwarded-Proto"] = []string{x.Scheme}
	h["X-Forwarded-Host"] = []string{x.Host}
	h["X-Forwarded-Uri"] = []string{url}
	h["X-Original-Url"] = []string{url}
	if x.ClientIP.IsValid() {
		client := []string{x.ClientIP.String()}
		h["X-Forwarded-For"], h["X-Real-Ip"] = client, client
	}
	return q
}

// address is the URL of the request as the client sees it, by its normal path.
func address(r *http.Request, x *exchange.Exchange) string {
	url := x.Scheme + "://" + x.Host + x.Path
	if r.URL.RawQuery != "" {
		url += "?" + r.URL.RawQuery
	}
	return url
}
