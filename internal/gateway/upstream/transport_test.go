// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

func TestConnectionsAreSharedByRoutesAndKeptOverReloads(t *testing.T) { // U1
	t.Parallel()
	var connections atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	g := registry(t, Settings{})
	keep := acquire(t, g, target(s.URL))
	for i := range 50 {
		route := target(s.URL + "/path")
		route.Name, route.Rewrite = "other", strings.Repeat("/x", i)
		c, _ := g.Acquire(route)
		for _, each := range []*Cluster{c, keep} {
			if _, _, err := ask(t, each); err != nil {
				t.Fatal(err)
			}
		}
		c.Release()
	}
	if n := connections.Load(); n != 1 {
		t.Fatalf("%d connections for requests that came one after the other", n)
	}
}

func TestAThousandReloadsLeaveNothingBehind(t *testing.T) { // U1
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	p := pool.New()
	g := NewRegistry(Settings{}, p)
	var current *Cluster
	before := runtime.NumGoroutine()
	for i := range 1000 {
		route := to(config.Backend{Endpoint: s.URL}, config.Backend{Endpoint: "http://127.0.0.1:1"})
		route.HealthCheck = &config.HealthCheck{Path: "/", Interval: never}
		route.Security = &config.RouteSecurity{TLS: &config.BackendTLS{InsecureSkipVerify: i%2 == 0}}
		next, problems := g.Acquire(route)
		if next == nil {
			t.Fatal(problems)
		}
		if _, _, err := ask(t, next); err != nil {
			t.Fatal(err)
		}
		if current != nil {
			current.Release()
		}
		current = next
	}
	current.Release()
	if n := p.Len(); n != 0 {
		t.Errorf("%d values are left in the pool", n)
	}
	if len(g.clusters) != 0 {
		t.Errorf("%d routes are left", len(g.clusters))
	}
	eventually(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before+2 })
}

// dying answers the first request of each connection, and ends the connection
// when the second one comes.
func dying(t *testing.T) (address string, seen *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	seen = &atomic.Int32{}
	var group sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); group.Wait() })
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer c.Close() //nolint:errcheck // a test
				r := bufio.NewReader(c)
				for i := range 2 {
					request, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, request.Body)
					seen.Add(1)
					if i == 0 {
						_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					}
				}
			})
		}
	})
	return "http://" + l.Addr().String(), seen
}

func TestARequestIsSentAgainOnlyWhenThatIsSafe(t *testing.T) { // U2, U3
	t.Parallel()
	for _, c := range []struct {
		method, body string
		again        bool
	}{
		{http.MethodGet, "", true},
		{http.MethodHead, "", true},
		{http.MethodPost, "x=1", false},
		{http.MethodPost, "", false},
		{http.MethodPut, "x=1", false},
		{http.MethodDelete, "", true},  // idempotent, though not safe
		{http.MethodGet, "x=1", false}, // its body is gone
	} {
		t.Run(c.method+" "+c.body, func(t *testing.T) {
			t.Parallel()
			address, seen := dying(t)
			cluster := acquire(t, registry(t, Settings{}), target(address))
			if _, _, err := ask(t, cluster); err != nil {
				t.Fatal(err)
			}
			_, _, err := send(t, cluster, c.method, c.body)
			if c.again != (err == nil) {
				t.Errorf("error %v", err)
			}
			if n, want := seen.Load(), map[bool]int32{true: 3, false: 2}[c.again]; n != want {
				t.Errorf("the backend saw %d requests, want %d", n, want)
			}
		})
	}
}

func TestARequestWaitsForAConnectionWithinBounds(t *testing.T) { // U8
	t.Parallel()
	one := 1
	held, release := make(chan struct{}, 1), make(chan struct{})
	s := server(t, func(_ http.ResponseWriter, _ *http.Request) {
		held <- struct{}{}
		<-release
	})
	g := registry(t, Settings{Networking: config.Networking{Transport: config.Transport{MaxConnsPerHost: &one}}})
	c := acquire(t, g, target(s.URL))
	first := make(chan error, 1)
	go func() {
		_, _, err := ask(t, c)
		first <- err
	}()
	<-held
	conns := c.endpoints[0].conns
	conns.waitTimeout = time.Millisecond
	if _, _, err := ask(t, c); !errors.Is(err, ErrBusy) {
		t.Errorf("the second request: %v", err)
	}
	conns.waitTimeout = waitTimeout
	// Who has a connection is not counted out, however long it takes.
	close(release)
	if err := <-first; err != nil {
		t.Errorf("the first request: %v", err)
	}
	if _, _, err := ask(t, c); err != nil {
		t.Errorf("a request after them: %v", err)
	}
}

func TestOnlyTheTimeWithoutAConnectionCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		w := &wait{limit: waitTimeout, cancel: cancel}
		for range 3 { // each time that it is sent again
			w.begin()
			time.Sleep(waitTimeout - time.Second)
			w.end()
			time.Sleep(time.Hour)
		}
		if ctx.Err() != nil {
			t.Fatal("a request with a connection was counted out")
		}
		w.begin()
		time.Sleep(waitTimeout + time.Second)
		if !errors.Is(context.Cause(ctx), ErrBusy) {
			t.Fatal("a request without a connection waits for ever")
		}
	})
}

func TestEachSchemeSpeaksItsProtocol(t *testing.T) {
	t.Parallel()
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			_, _ = io.WriteString(w, "upgrade over ")
		}
		_, _ = io.WriteString(w, r.Proto)
	})
	plain := httptest.NewUnstartedServer(echo)
	plain.Config.Protocols = new(http.Protocols)
	plain.Config.Protocols.SetHTTP1(true)
	plain.Config.Protocols.SetUnencryptedHTTP2(true)
	plain.Start()
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(echo)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for scheme, want := range map[string]string{
		"http": "HTTP/1.1", "ws": "HTTP/1.1", "h2c": "HTTP/2.0", "grpc": "HTTP/2.0",
		"https": "HTTP/2.0", "wss": "HTTP/1.1", "grpcs": "HTTP/2.0",
	} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			host := plain.Listener.Addr().String()
			if scheme == "https" || scheme == "wss" || scheme == "grpcs" {
				host = secure.Listener.Addr().String()
			}
			route := target(scheme + "://" + host)
			route.Security = &config.RouteSecurity{TLS: &config.BackendTLS{InsecureSkipVerify: true}}
			c := acquire(t, registry(t, Settings{}), route)
			if _, body, err := ask(t, c); err != nil || body != want {
				t.Errorf("got %q, %v", body, err)
			}
			if _, body, err := ask(t, c, "Connection", "Upgrade", "Upgrade", "websocket"); err != nil || body != "upgrade over HTTP/1.1" {
				t.Errorf("got %q, %v", body, err)
			}
		})
	}
}

func TestManyStreamsOfOneBackendDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	const n = 400 // more than one connection takes
	var group sync.WaitGroup
	all := make(chan struct{})
	var arrived atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if arrived.Add(1) == n {
			close(all)
		}
		select {
		case <-all:
		case <-r.Context().Done():
		}
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	c := acquire(t, registry(t, Settings{}), target("h2c://"+s.Listener.Addr().String()))
	for range n {
		group.Go(func() {
			if _, _, err := ask(t, c); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestEverySettingReachesTheConnections(t *testing.T) { // C7
	t.Parallel()
	g := registry(t, Settings{Networking: config.Networking{Transport: config.Transport{
		InsecureSkipVerify: true, MaxIdleConns: new(1), MaxIdleConnsPerHost: new(2), MaxConnsPerHost: new(3),
		TLSHandshakeTimeout: 4, ResponseHeaderTimeout: 5, IdleConnTimeout: new(6), ForceAttemptHTTP2: new(false),
	}}})
	e := acquire(t, g, target("https://a")).endpoints[0]
	h := e.transport.now.Load()
	if !h.TLSClientConfig.InsecureSkipVerify || h.MaxIdleConns != 1 || h.MaxIdleConnsPerHost != 2 || h.MaxConnsPerHost != 3 ||
		h.TLSHandshakeTimeout != 4*time.Second || e.limits.head != 5*time.Second || h.IdleConnTimeout != 6*time.Second ||
		h.Protocols.HTTP2() {
		t.Errorf("%+v", h)
	}
	e = acquire(t, g, target("http://a")).endpoints[0]
	p := e.conns
	if p.mostIdleTotal != 1 || p.mostIdle != 2 || p.most != 3 || p.handshakeTimeout != 4*time.Second ||
		e.limits.head != 5*time.Second || p.idleTimeout != 6*time.Second {
		t.Errorf("over HTTP/1.1 %+v", p)
	}
	h = acquire(t, registry(t, Settings{}), target("https://a")).endpoints[0].transport.now.Load()
	if h.TLSClientConfig.InsecureSkipVerify || h.MaxIdleConns != 512 || h.MaxIdleConnsPerHost != 256 || h.MaxConnsPerHost != 256 ||
		h.IdleConnTimeout != 90*time.Second || !h.Protocols.HTTP2() || !h.DisableCompression {
		t.Errorf("by default %+v", h)
	}
}

func TestABackendThatDoesNotAnswerIsATimeout(t *testing.T) { // U4
	t.Parallel()
	release := make(chan struct{})
	s := server(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	c := acquire(t, registry(t, Settings{}), target(s.URL))
	c.endpoints[0].limits.head = 20 * time.Millisecond
	_, _, err := ask(t, c)
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Fatal(err)
	}
}
