// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/http1"
)

// arrive makes a request of head lines, and what the entry point knows of it.
func arrive(trusted bool, lines ...string) (*http.Request, *exchange.Exchange) {
	r := httptest.NewRequest(http.MethodGet, "http://shop.example/", nil)
	r.Header = http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	http1.DropForged(r.Header, trusted) // as the entry point does
	x := &exchange.Exchange{
		PeerIP: netip.MustParseAddr("::ffff:10.0.0.1"), ClientIP: netip.MustParseAddr("10.0.0.1"), PeerTrusted: trusted, Scheme: "http",
	}
	return r, x
}

func TestForwardedHeaders(t *testing.T) { // P5, P6, P7
	t.Parallel()
	for _, c := range []struct {
		name    string
		trusted bool
		lines   []string
		header  string
		want    string // lines, separated by |
	}{
		{"an untrusted peer is the whole chain, once", false, []string{"X-Forwarded-For: 1.2.3.4"}, "X-Forwarded-For", "10.0.0.1"},
		{"the chain of a trusted peer is kept, and the peer added once", true, []string{"X-Forwarded-For: 1.2.3.4, 5.6.7.8"}, "X-Forwarded-For", "1.2.3.4, 5.6.7.8, 10.0.0.1"},
		{"lines of a chain join in order", true, []string{"X-Forwarded-For: 1.2.3.4", "X-Forwarded-For: 5.6.7.8"}, "X-Forwarded-For", "1.2.3.4, 5.6.7.8, 10.0.0.1"},
		{"a trusted peer without a chain begins one", true, nil, "X-Forwarded-For", "10.0.0.1"},
		{"the client address is ours", true, []string{"X-Real-IP: 1.2.3.4"}, "X-Real-Ip", "10.0.0.1"},
		{"the scheme is ours", true, []string{"X-Forwarded-Proto: https", "X-Forwarded-Proto: gopher"}, "X-Forwarded-Proto", "http"},
		{"the host is the client's", false, []string{"X-Forwarded-Host: evil.example"}, "X-Forwarded-Host", "shop.example"},
		{"the first host that a trusted peer tells is kept", true, []string{"X-Forwarded-Host: a.example", "X-Forwarded-Host: b.example"}, "X-Forwarded-Host", "a.example"},
		{"other forwarded headers of an untrusted peer go", false, []string{"X-Forwarded-Prefix: /admin"}, "X-Forwarded-Prefix", ""},
		{"other forwarded headers of a trusted peer stay", true, []string{"X-Forwarded-Prefix: /shop"}, "X-Forwarded-Prefix", "/shop"},
		{"Forwarded of an untrusted peer goes", false, []string{"Forwarded: for=1.2.3.4"}, "Forwarded", ""},
		{"a spelling with _ goes even from a trusted peer", true, []string{"X_Forwarded-For: 1.2.3.4"}, "X_forwarded-For", ""},
		{"what a handler has set cannot be listed away", false, []string{"Connection: close, X-Partner", "X-Partner: blue"}, "X-Partner", "blue"},
		{"ours cannot be listed away", false, []string{"Connection: X-Forwarded-For, x-real-ip"}, "X-Forwarded-For", "10.0.0.1"},
		{"hop-by-hop headers go unlisted", false, []string{"Proxy-Authorization: secret"}, "Proxy-Authorization", ""},
		{"Expect ends here", false, []string{"Expect: 100-continue"}, "Expect", ""},
		{"trailers are accepted for a client that accepts them", false, []string{"TE: gzip, Trailers"}, "Te", "trailers"},
		{"and for no other", false, []string{"TE: gzip"}, "Te", ""},
		{"a request id passes", false, []string{"X-Request-ID: 7"}, "X-Request-Id", "7"},
		{"lines stay apart and in order", false, []string{"Cookie: a=1", "Cookie: b=2"}, "Cookie", "a=1|b=2"},
		{"no coding is asked for that the client did not ask for", false, nil, "Accept-Encoding", ""},
		{"no agent is made up", false, nil, "User-Agent", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, x := arrive(c.trusted, c.lines...)
			before := r.Header.Clone()
			if got := strings.Join(requestHeader(r, x)[c.header], "|"); got != c.want {
				t.Errorf("%s is %q, want %q", c.header, got, c.want)
			}
			for name, values := range before {
				if !slices.Equal(r.Header[name], values) {
					t.Errorf("the client's %s was changed", name)
				}
			}
		})
	}
}

func TestWhichUpgradesAreTunnelled(t *testing.T) { // H5
	t.Parallel()
	for _, c := range []struct {
		name  string
		lines []string
		edit  func(*http.Request)
		want  string
	}{
		{"websocket", []string{"Connection: Upgrade", "Upgrade: websocket"}, nil, "websocket"},
		{"websocket in any case, in a list of options", []string{"Connection: keep-alive, UPGRADE", "Upgrade: WebSocket"}, nil, "WebSocket"},
		{"nothing without Connection", []string{"Upgrade: websocket"}, nil, ""},
		{"nothing without Upgrade", []string{"Connection: Upgrade"}, nil, ""},
		{"no h2c", []string{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"}, nil, ""},
		{"no list", []string{"Connection: Upgrade", "Upgrade: websocket, h2c"}, nil, ""},
		{"no two lines", []string{"Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"}, nil, ""},
		{"no method but GET", []string{"Connection: Upgrade", "Upgrade: websocket"}, func(r *http.Request) { r.Method = http.MethodPost }, ""},
		{"no request with a body", []string{"Connection: Upgrade", "Upgrade: websocket"}, func(r *http.Request) { r.ContentLength = -1 }, ""},
		{"not in HTTP/1.0", []string{"Connection: Upgrade", "Upgrade: websocket"}, func(r *http.Request) { r.ProtoMinor = 0 }, ""},
		{"not in HTTP/2", []string{"Connection: Upgrade", "Upgrade: websocket"}, func(r *http.Request) { r.ProtoMajor = 2 }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, x := arrive(false, c.lines...)
			if c.edit != nil {
				c.edit(r)
			}
			h := requestHeader(r, x)
			if got := h.Get("Upgrade"); got != c.want || (h.Get("Connection") == "Upgrade") != (c.want != "") || h.Get("Http2-Settings") != "" {
				t.Errorf("sent %v", h)
			}
		})
	}
}

func FuzzNoClientNamesItsOrigin(f *testing.F) { // P6, P7
	f.Add("X-Forwarded-For", "1.2.3.4", "close")
	f.Add("x_forwarded-for", "1.2.3.4", "X-Forwarded-For")
	f.Add("X-REAL_IP", "1.2.3.4", "x-real-ip,")
	f.Add("forwarded", "for=1.2.3.4", "")
	f.Fuzz(func(t *testing.T, name, value, connection string) {
		r, x := arrive(false)
		r.Header.Add(name, value)
		r.Header.Add("Connection", connection)
		h := requestHeader(r, x)
		want := map[string]string{
			"X-Forwarded-For": "10.0.0.1", "X-Real-Ip": "10.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "shop.example",
		}
		for name, value := range want {
			if got := h[name]; len(got) != 1 || got[0] != value {
				t.Fatalf("%s is %q", name, got)
			}
		}
		for other := range h {
			if _, ours := want[other]; !ours && http1.Identify(other) == http1.Provenance {
				t.Fatalf("%s passed", other)
			}
		}
	})
}
