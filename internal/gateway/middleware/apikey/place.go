// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"net/http"
	"net/url"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/session"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/spelling"
)

// place is where a request has its key. Empty names are no places.
type place struct {
	header, scheme string
	query, cookie  string
	// spellings are those of the header.
	spellings spelling.Names
}

// find gives the key of a request that brings exactly one.
func (p place) find(r *http.Request) (key string, ok bool) {
	found := 0
	take := func(value string) { key, found = value, found+1 }
	if p.header != "" {
		for _, value := range r.Header[p.header] {
			take(p.unwrap(value))
		}
	}
	if p.query != "" && r.URL.RawQuery != "" {
		for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
			if value, mine := p.parameter(pair); mine {
				take(value)
			}
		}
	}
	if p.cookie != "" {
		for _, c := range r.CookiesNamed(p.cookie) {
			take(c.Value)
		}
	}
	return key, found == 1 && key != ""
}

// unwrap takes the scheme off the value of the header; without it there is no key.
func (p place) unwrap(value string) string {
	value = strings.TrimSpace(value)
	if p.scheme == "" {
		return value
	}
	scheme, key, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, p.scheme) {
		return ""
	}
	return strings.TrimSpace(key)
}

// parameter tells whether a pair of the query is the key; what is malformed is no key.
func (p place) parameter(pair string) (value string, mine bool) {
	name, value, _ := strings.Cut(pair, "=")
	if unescaped(name) != p.query {
		return "", false
	}
	return unescaped(value), true
}

func unescaped(text string) string {
	if !strings.ContainsAny(text, "%+") {
		return text
	}
	plain, err := url.QueryUnescape(text)
	if err != nil {
		return text
	}
	return plain
}

// without gives the request without its key. The rest of the query stays byte for
// byte.
func (p place) without(r *http.Request) *http.Request {
	p.spellings.Delete(r)
	if p.cookie != "" {
		session.Strip(r.Header, func(name string) bool { return name == p.cookie })
	}
	if p.query == "" || r.URL.RawQuery == "" {
		return r
	}
	var kept []string
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if _, mine := p.parameter(pair); !mine {
			kept = append(kept, pair)
		}
	}
	out := r.WithContext(r.Context())
	u := *r.URL
	u.RawQuery, u.ForceQuery = strings.Join(kept, "&"), false
	out.URL = &u
	return out
}
