// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"

	"github.com/coder/websocket"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/geo/geotest"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

// passing are rules of every built type that let the test's requests pass.
var passing = map[string]string{
	"accessLog":        `{"headers":["X-Tenant"],"query":["id"],"cookies":["theme"]}`,
	"compress":         `{}`,
	"errorInterceptor": `{"enabled":true,"errors":[{"statusCode":500,"body":"Sorry"}]}`,
	"inFlightLimit":    `{"maxRequests":1000,"maxPerClient":100}`,
	"apiKey":           `{"keys":[{"name":"shop","key":"` + apiKey + `"}],"nameHeader":"X-Consumer","forwardKey":true}`,
	"stripPrefix":      `{"prefixes":["/api"]}`,
	"jwt":              tokenRule,
	"rewriteRegex":     `{"pattern":"^/api/","replacement":"/v2/"}`,
	"access":           `{}`,
	"bodyLimit":        `{"limit":"1Mi"}`,
	"userAgentBlock":   `{"userAgents":["badbot"]}`,
	"accessPolicy":     `{"sourceRanges":["192.0.2.0/24"]}`,
	"circuitBreaker":   `{}`,
	"waf":              `{}`,
	"httpCache":        `{"maxTtl":60}`,
	"geoBlock":         `{"action":"DENY","countries":["FR"],"addCountryHeader":"X-Country"}`,
	"addPrefix":        `{"prefix":"/v2"}`,
	"basic":            `{"users":["ann:a"],"forwardUsername":true}`,
	"forwardAuth":      `{"authUrl":"` + authService.URL + `","authResponseHeaders":["X-User"]}`,
	"ldap":             `{"url":"` + people.URL + `","baseDN":"dc=test","forwardUsername":true}`,
	"oauth":            loginRule,
	"retry":            `{"perTryTimeout":"1h"}`,
	"rateLimit":        `{"requestsPerUnit":1000000000}`,
	"redirect":         `{"url":"/new"}`,
	"redirectRegex":    `{"pattern":"^/never$","replacement":"/"}`,
	"stripQuery":       `{"params":["utm"]}`,
	"redirectScheme":   `{"scheme":"http"}`,
	"requestHeaders":   `{"setHeaders":{"X-A":"1"}}`,
	"responseHeaders":  `{"setHeaders":{"X-A":"1"},"cors":{"enabled":true}}`,
}

// built are the types that this build can run, by their first names.
func built() (names []string) {
	for _, kind := range types {
		_, problems := kind.Parse(nil)
		if !slices.ContainsFunc(problems, func(p config.Problem) bool { return p.Reason == config.ReasonUnsupported }) {
			names = append(names, kind.Names[0])
		}
	}
	return names
}

// letting are the built types that let requests pass; redirect lets none.
func letting() []string {
	return slices.DeleteFunc(built(), func(name string) bool { return name == "redirect" })
}

// handler is a middleware in front of a backend.
func handler(t testing.TB, kind, rule string, backend http.HandlerFunc, paths ...string) http.Handler {
	t.Helper()
	k, ok := Lookup(kind)
	if !ok {
		t.Fatalf("no type %s", kind)
	}
	parsed, problems := k.Parse([]byte(rule))
	if parsed == nil {
		t.Fatalf("%s: %v", kind, problems)
	}
	h, err := parsed.Handler(buildOf(t, kind, paths...), backend)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// buildOf is what a type needs to become a handler.
func buildOf(t testing.TB, kind string, paths ...string) Build {
	t.Helper()
	b := Build{Name: "m", Paths: paths, Route: RouteInfo{Name: "r", Path: "/"}, Pool: pool.New(), Track: t.Cleanup}
	if kind == "httpCache" && len(paths) == 0 {
		b.Paths = []string{"/"} // without, it does nothing
	}
	if kind == "geoBlock" {
		b.GeoDatabase = filepath.Join(t.TempDir(), "geo.mmdb")
		geotest.Write(t, b.GeoDatabase, geotest.Countries(map[string]string{"192.0.2.0/24": "SE"}))
	}
	return b
}

// serve puts a middleware in front of a backend, on a real server.
func serve(t *testing.T, kind, rule string, backend http.HandlerFunc, paths ...string) *httptest.Server {
	t.Helper()
	h := handler(t, kind, rule, backend, paths...)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange.Exchange{ClientIP: netip.MustParseAddr("192.0.2.1"), Scheme: "http", Host: r.Host, Path: r.URL.Path}
		identified(kind, r.Header)
		h.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
	}))
	t.Cleanup(server.Close)
	return server
}

func request(t *testing.T, ctx context.Context, url string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("ann", "a")
	r.Header.Set("Cookie", loggedIn)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// H8: no middleware may hide what the writer below can do.
func TestEveryMiddlewareLetsStreamsTrailersUpgradesAndAbortsThrough(t *testing.T) {
	t.Parallel()
	for _, name := range letting() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if passing[name] == "" {
				t.Fatal("add a rule of this type to the contract")
			}
			t.Run("the first byte comes before the second exists", func(t *testing.T) { streams(t, name) })
			t.Run("trailers", func(t *testing.T) { trailers(t, name) })
			t.Run("an upgrade", func(t *testing.T) { upgrades(t, name) })
			t.Run("an abort is seen by the backend and by the client", func(t *testing.T) { aborts(t, name) })
		})
	}
}

func streams(t *testing.T, kind string) {
	t.Parallel()
	second := make(chan struct{})
	server := serve(t, kind, passing[kind], func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "one\n")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-second
		_, _ = io.WriteString(w, "two\n")
	})
	lines := bufio.NewReader(request(t, t.Context(), server.URL).Body)
	if line, err := lines.ReadString('\n'); line != "one\n" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	close(second)
	if line, err := lines.ReadString('\n'); line != "two\n" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
}

func trailers(t *testing.T, kind string) {
	t.Parallel()
	server := serve(t, kind, passing[kind], func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Sum", "4")
		w.Header().Set(http.TrailerPrefix+"X-Late", "5")
	})
	resp := request(t, t.Context(), server.URL)
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	if resp.Trailer.Get("X-Sum") != "4" || resp.Trailer.Get("X-Late") != "5" {
		t.Errorf("trailers %v", resp.Trailer)
	}
}

func upgrades(t *testing.T, kind string) {
	t.Parallel()
	server := serve(t, kind, passing[kind], func(w http.ResponseWriter, r *http.Request) {
		// The library wants an http.Hijacker and does not look below.
		conn, err := websocket.Accept(hijacker{w}, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		kind, data, err := conn.Read(r.Context())
		if err == nil {
			err = conn.Write(r.Context(), kind, data)
		}
		if err != nil {
			t.Error(err)
		}
		_ = conn.Close(websocket.StatusNormalClosure, "")
	})
	header := http.Header{"Authorization": {"Basic YW5uOmE="}, "Cookie": {loggedIn}}
	conn, _, err := websocket.Dial(t.Context(), server.URL, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow() //nolint:errcheck // a test
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("ping")); err != nil {
		t.Fatal(err)
	}
	if _, data, err := conn.Read(t.Context()); err != nil || string(data) != "ping" {
		t.Fatalf("%q, %v", data, err)
	}
}

func aborts(t *testing.T, kind string) {
	t.Parallel()
	gone := make(chan struct{})
	server := serve(t, kind, passing[kind], func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("die") {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(gone)
	})
	if _, err := io.ReadAll(request(t, t.Context(), server.URL+"/?die").Body); err == nil {
		t.Error("half an answer ends like a whole one")
	}
	ctx, cancel := context.WithCancel(t.Context())
	request(t, ctx, server.URL)
	cancel()
	<-gone
}

// hijacker reaches the connection as package proxy does.
type hijacker struct{ http.ResponseWriter }

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(h.ResponseWriter).Hijack()
}
