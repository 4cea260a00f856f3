// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/http1"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"
)

// front is a proxy on a real server, in front of a backend.
type front struct {
	*httptest.Server

	t        *testing.T
	exchange atomic.Pointer[exchange.Exchange]
	// trusted says that the peer is a trusted proxy.
	trusted bool
	// done gets a value when a request has been served.
	done chan struct{}
}

// newFront serves a route; its target is that of the backend unless it has one.
func newFront(t *testing.T, r config.Route, target string, s upstream.Settings) *front {
	t.Helper()
	if r.Target == "" && len(r.Backends) == 0 {
		r.Target = target
	}
	if r.Path == "" {
		r.Path = "/"
	}
	registry := upstream.NewRegistry(s, pool.New())
	cluster, problems := registry.Acquire(&r)
	if cluster == nil {
		t.Fatal(problems)
	}
	t.Cleanup(cluster.Release)
	f := &front{t: t, done: make(chan struct{}, 100)}
	h := New(Options{Route: &r, Cluster: cluster})
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer := netip.MustParseAddrPort(r.RemoteAddr).Addr()
		x := &exchange.Exchange{
			PeerIP: peer, ClientIP: peer, PeerTrusted: f.trusted, Scheme: "http", Host: r.Host, Path: r.URL.EscapedPath(),
		}
		f.exchange.Store(x)
		unlist(r.Header)
		http1.DropForged(r.Header, x.PeerTrusted)
		defer func() {
			select {
			case f.done <- struct{}{}:
			default: // nobody waits for so many
			}
		}()
		h.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
	}))
	f.Config.ErrorLog = nil
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	f.Config.Protocols = &protocols
	f.Start()
	t.Cleanup(f.Close)
	return f
}

// unlist does what package downstream has done before any handler: what Connection
// lists ends there.
func unlist(h http.Header) {
	for _, name := range connectionOptions(h) {
		if !http1.Identify(name).HopByHop() && http1.Identify(name) != http1.Host {
			h.Del(name)
		}
	}
}

func serveBackend(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// behind is a front for a backend that a function is.
func behind(t *testing.T, r config.Route, h http.HandlerFunc) *front {
	t.Helper()
	return newFront(t, r, serveBackend(t, h).URL, upstream.Settings{})
}

func (f *front) get(path string, edit ...func(*http.Request)) *http.Response {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.URL+path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, e := range edit {
		e(r)
	}
	resp, err := f.Client().Transport.RoundTrip(r)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// raw sends bytes and gives the whole answer.
func (f *front) raw(text string) string {
	f.t.Helper()
	c, err := net.Dial("tcp", f.Listener.Addr().String())
	if err != nil {
		f.t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // a test
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		f.t.Fatal(err)
	}
	answer, _ := io.ReadAll(c)
	return string(answer)
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// rawBackend answers every connection with the same bytes, and closes it.
func rawBackend(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close() //nolint:errcheck // a test
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.WriteString(c, answer)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
