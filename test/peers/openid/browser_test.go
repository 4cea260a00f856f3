// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package openid

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

// site is a route on several replicas, which get its requests in turn.
type site struct {
	*httptest.Server

	t        *testing.T
	replicas []http.Handler
	turn     atomic.Int64
	mu       sync.Mutex
	seen     []http.Header
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, err := normal.Path(r.URL.EscapedPath())
		if err != nil {
			t.Error(err)
		}
		x := &exchange.Exchange{Path: path, Host: r.Host, Scheme: "https", ClientIP: netip.MustParseAddr("192.0.2.1")}
		replica := s.replicas[int(s.turn.Add(1))%len(s.replicas)]
		replica.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) callback() string { return s.URL + "/oauth2/callback" }

// use starts so many replicas with the settings, beside those of the client.
func (s *site) use(replicas int, settings map[string]any) {
	s.t.Helper()
	all := map[string]any{
		"clientId": clientID, "clientSecret": clientSecret, "redirectUrl": s.callback(),
		"scopes":         []string{"openid", "profile", "email", "offline_access"},
		"forwardHeaders": map[string]string{"X-User": "sub", "X-Email": "email"},
	}
	maps.Copy(all, settings)
	raw, err := json.Marshal(all)
	if err != nil {
		s.t.Fatal(err)
	}
	kind, _ := middleware.Lookup("oauth")
	rule, problems := kind.Parse(raw)
	if rule == nil {
		s.t.Fatal(problems)
	}
	s.replicas = nil
	for range replicas {
		h, err := rule.Handler(middleware.Build{Name: "m", Route: middleware.RouteInfo{Path: "/"}, Pool: pool.New(), Track: s.t.Cleanup},
			http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.seen = append(s.seen, r.Header.Clone())
			}))
		if err != nil {
			s.t.Fatal(err)
		}
		s.replicas = append(s.replicas, h)
	}
}

func (s *site) last() http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) == 0 {
		return nil
	}
	return s.seen[len(s.seen)-1]
}

// browser is a person: it keeps cookies, follows links, and fills in the form of the
// provider.
type browser struct {
	*http.Client

	t *testing.T
	// forms counts those that were filled in.
	forms int
}

func (s *site) browser() *browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &browser{t: s.t, Client: &http.Client{
		Transport: s.Client().Transport, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (b *browser) do(method, address string, form url.Values) *http.Response {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp
}

// visit goes to a page, and logs in on the way if it is asked to.
func (b *browser) visit(address string) *http.Response {
	b.t.Helper()
	return b.follow(b.do(http.MethodGet, address, nil), func(resp *http.Response) bool {
		return resp.StatusCode < 300 || resp.StatusCode >= 400
	})
}

// login goes to a page and stops at the redirect that ends the login.
func (b *browser) login(address string) {
	b.t.Helper()
	b.follow(b.do(http.MethodGet, address, nil), func(resp *http.Response) bool { return resp.StatusCode == http.StatusSeeOther })
}

func (b *browser) follow(resp *http.Response, done func(*http.Response) bool) *http.Response {
	b.t.Helper()
	for range 20 {
		if done(resp) {
			return resp
		}
		next, err := resp.Location()
		if err != nil {
			b.t.Fatalf("status %d at %s: %v", resp.StatusCode, resp.Request.URL, err)
		}
		if !strings.HasPrefix(next.Path, "/login/username") {
			resp = b.do(http.MethodGet, next.String(), nil)
			continue
		}
		b.forms++
		id := next.Query().Get("authRequestID")
		resp = b.do(http.MethodPost, next.String(), url.Values{"id": {id}, "username": {user}, "password": {password}})
	}
	b.t.Fatal("an endless chain of redirects")
	return nil
}
