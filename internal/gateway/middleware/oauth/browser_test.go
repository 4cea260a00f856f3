// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

// site is a gateway with one route and a backend that remembers what reached it.
type site struct {
	*httptest.Server

	t     *testing.T
	h     atomic.Pointer[http.Handler]
	mu    sync.Mutex
	seen  []*http.Request
	paths []string
	route string
}

func newSite(t *testing.T, secure bool) *site {
	t.Helper()
	s := &site{t: t, route: "/"}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, err := normal.Path(r.URL.EscapedPath())
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		x := &exchange.Exchange{Path: path, Host: r.Host, Scheme: "https", ClientIP: netip.MustParseAddr("192.0.2.1")}
		(*s.h.Load()).ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
	}))
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// use puts a rule on the route, as a replica does that has just started.
func (s *site) use(settings map[string]any) *site {
	s.t.Helper()
	all := map[string]any{"clientId": testClient, "clientSecret": testSecret, "redirectUrl": s.URL + "/oauth2/callback", "insecureSkipVerify": true}
	maps.Copy(all, settings)
	raw, err := json.Marshal(all)
	if err != nil {
		s.t.Fatal(err)
	}
	parsed, problems := parse(raw)
	if parsed == nil {
		s.t.Fatal(problems)
	}
	backend := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, r.Clone(r.Context()))
		s.mu.Unlock()
		_, _ = io.WriteString(w, "served")
	})
	h, err := parsed.Handler(definition.Build{
		Name: "m", Paths: s.paths, Route: definition.RouteInfo{Name: "r", Path: s.route}, Pool: pool.New(), Track: s.t.Cleanup,
	}, backend)
	if err != nil {
		s.t.Fatal(err)
	}
	s.h.Store(&h)
	return s
}

func (s *site) last() *http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) == 0 {
		return nil
	}
	return s.seen[len(s.seen)-1]
}

func (s *site) hits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// browser keeps cookies, and follows redirects when it is told to.
type browser struct {
	*http.Client

	t *testing.T
}

func (s *site) browser() *browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &browser{&http.Client{
		Transport: s.Client().Transport, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, s.t}
}

// get asks once.
func (b *browser) get(url string, edit ...func(*http.Request)) *http.Response {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range edit {
		e(r)
	}
	resp, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp
}

// visit asks, and goes where it is sent.
func (b *browser) visit(url string) *http.Response {
	b.t.Helper()
	for range 10 {
		resp := b.get(url)
		if resp.StatusCode < 300 || resp.StatusCode >= 400 {
			return resp
		}
		next, err := resp.Location()
		if err != nil {
			b.t.Fatal(err)
		}
		url = next.String()
	}
	b.t.Fatal("an endless chain of redirects")
	return nil
}

// saying adds a header to a request.
func saying(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header[name] = append(r.Header[name], value) }
}

// sessionCookie finds the cookie of the session among those of an answer.
func sessionCookie(resp *http.Response) *http.Cookie {
	for _, c := range resp.Cookies() {
		if strings.Contains(c.Name, "goma_oauth_") && !strings.Contains(c.Name, "_login_") && c.MaxAge > 0 {
			return c
		}
	}
	return nil
}

func url64(text string) string { return base64.URLEncoding.EncodeToString([]byte(text)) }
