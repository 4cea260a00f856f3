// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/downstream"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"
)

// named are backends that answer with their number.
func named(t *testing.T, n int, status ...int) (list []config.Backend) {
	t.Helper()
	for i := range n {
		s := serveBackend(t, func(w http.ResponseWriter, _ *http.Request) {
			if i < len(status) {
				w.WriteHeader(status[i])
			}
			_, _ = fmt.Fprint(w, i)
		})
		list = append(list, config.Backend{Endpoint: s.URL})
	}
	return list
}

// visitor sends requests on a connection of its own, over one of the two ways that a
// request can take.
type visitor struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (c *visitor) get(header ...string) (*http.Response, string) {
	c.t.Helper()
	text := "GET /p?u=1 HTTP/1.1\r\nHost: shop.example\r\n"
	for i := 0; i+1 < len(header); i += 2 {
		text += header[i] + ": " + header[i+1] + "\r\n"
	}
	if _, err := io.WriteString(c.conn, text+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp, string(data)
}

// bothWays runs a test with a route served without an *http.Request, and with one.
func bothWays(t *testing.T, r config.Route, test func(t *testing.T, c *visitor)) {
	t.Helper()
	r.Name, r.Path = "r", "/"
	for _, way := range []string{"direct", "handler"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			if way == "handler" {
				f := newFront(t, r, "", upstream.Settings{})
				test(t, dialed(t, f.Listener.Addr().String()))
				return
			}
			test(t, dialed(t, directly(t, &r)))
		})
	}
}

func dialed(t *testing.T, address string) *visitor {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return &visitor{t, conn, bufio.NewReader(conn)}
}

// directly serves a route as its connection would, and gives the address.
func directly(t *testing.T, r *config.Route) string {
	t.Helper()
	cluster, problems := upstream.NewRegistry(upstream.Settings{}, pool.New()).Acquire(r)
	if cluster == nil {
		t.Fatal(problems)
	}
	h := New(Options{Route: r, Cluster: cluster})
	var skipped atomic.Int32
	server := downstream.NewServer(downstream.Options{Serve: func(s *downstream.Stream) {
		x := s.Exchange()
		x.ClientIP, x.PeerIP, x.Scheme, x.Host, x.Path = s.Peer(), s.Peer(), "http", "shop.example", "/p"
		served, other := h.Direct(s, "u=1", true)
		if served {
			return
		}
		if other == nil {
			skipped.Add(1)
			other = h
		}
		w, q := s.HTTP("shop.example", "/p", "/p", "u=1", true)
		other.ServeHTTP(w, q)
	}}, downstream.Timeouts{Read: time.Minute, Write: time.Minute, Idle: time.Minute})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go server.ServeConn(c)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		cluster.Release()
		if n := skipped.Load(); n > 0 {
			t.Errorf("%d requests did not go the direct way", n)
		}
	})
	return l.Addr().String()
}

func hashed(source, name string) *config.LoadBalancing {
	return &config.LoadBalancing{Policy: config.PolicyConsistentHash, HashOn: &config.HashOn{Source: source, Name: name}}
}

func TestAHashSeesTheRequestOnBothWays(t *testing.T) {
	t.Parallel()
	for _, b := range []*config.LoadBalancing{
		hashed("header", "x-user"), hashed("cookie", "user"), hashed("ip", ""), hashed("path", ""), hashed("query", "u"),
	} {
		bothWays(t, config.Route{Backends: named(t, 8), LoadBalancing: b}, func(t *testing.T, c *visitor) {
			seen := map[string]bool{}
			for i := range 40 {
				user := fmt.Sprint(i)
				_, first := c.get("X-User", user, "Cookie", "a=1; user="+user)
				_, again := c.get("X-User", user, "Cookie", "user="+user+"; a=2")
				if first != again {
					t.Fatalf("%+v: %s is at %s and %s", b.HashOn, user, first, again)
				}
				seen[first] = true
			}
			if varies := b.HashOn.Name == "x-user" || b.HashOn.Name == "user"; varies != (len(seen) > 4) || !varies && len(seen) != 1 {
				t.Errorf("%+v: %d endpoints for 40 users of one address", b.HashOn, len(seen))
			}
		})
	}
}

func TestAStickyClientKeepsItsEndpointOnBothWays(t *testing.T) { // L4
	t.Parallel()
	route := config.Route{Backends: named(t, 4), LoadBalancing: &config.LoadBalancing{Sticky: &config.Sticky{Cookie: config.StickyCookie{Name: "at"}}}}
	bothWays(t, route, func(t *testing.T, c *visitor) {
		resp, home := c.get()
		cookies := resp.Cookies()
		if len(cookies) != 1 || cookies[0].Name != "at" || !cookies[0].HttpOnly || cookies[0].Secure {
			t.Fatalf("it got %v", cookies)
		}
		for range 10 {
			resp, at := c.get("Cookie", "x=1", "Cookie", "at="+cookies[0].Value)
			if at != home || len(resp.Cookies()) != 0 {
				t.Fatalf("it went to %s, its home is %s; it got %v", at, home, resp.Cookies())
			}
		}
		if _, at := c.get(); at == home {
			t.Errorf("who has no cookie is at %s too", at)
		}
	})
}

func TestACanarySeesTheRequestOnBothWays(t *testing.T) { // L2
	t.Parallel()
	list := named(t, 2)
	list[1].Match = []config.BackendMatch{{Source: "header", Name: "x-beta", Operator: "equals", Value: "yes"}}
	list[1].Exclusive = true
	bothWays(t, config.Route{Backends: list}, func(t *testing.T, c *visitor) {
		for range 5 {
			if _, at := c.get("X-Beta", "yes"); at != "1" {
				t.Errorf("a request that matches went to %s", at)
			}
			if _, at := c.get("X-Beta", "no"); at != "0" {
				t.Errorf("a request that does not match went to %s", at)
			}
			if _, at := c.get("X-Beta", "yes", "Connection", "X-Beta"); at != "0" { // P7
				t.Errorf("a header that its client takes back counts: %s", at)
			}
		}
	})
}

// unused gives an address that nobody listens at.
func unused(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // a test
	return "http://" + l.Addr().String()
}

func TestARequestThatNobodyGotGoesToAnotherEndpoint(t *testing.T) { // U3
	t.Parallel()
	list := append(named(t, 1), config.Backend{Endpoint: unused(t)})
	bothWays(t, config.Route{Backends: list}, func(t *testing.T, c *visitor) {
		for range 6 {
			if resp, at := c.get(); resp.StatusCode != http.StatusOK || at != "0" {
				t.Errorf("%d from %s", resp.StatusCode, at)
			}
		}
	})
	bothWays(t, config.Route{Backends: []config.Backend{{Endpoint: unused(t)}, {Endpoint: unused(t)}, {Endpoint: unused(t)}}}, func(t *testing.T, c *visitor) {
		if resp, _ := c.get(); resp.StatusCode != http.StatusBadGateway { // one other, not all of them
			t.Errorf("%d when nobody listens", resp.StatusCode)
		}
	})
}

func TestWhoFailsRequestsIsTakenOutOnBothWays(t *testing.T) { // L4
	t.Parallel()
	for _, c := range []struct {
		status int
		out    bool
	}{{502, true}, {503, true}, {504, true}, {500, false}, {404, false}} {
		route := config.Route{Backends: named(t, 2, c.status, 200), OutlierDetection: &config.OutlierDetection{ConsecutiveErrors: 3}}
		bothWays(t, route, func(t *testing.T, client *visitor) {
			got := map[int]int{}
			for range 20 {
				resp, _ := client.get()
				got[resp.StatusCode]++
			}
			if want := map[bool]int{true: 3, false: 10}[c.out]; got[c.status] != want {
				t.Errorf("%d of 20 answers are %d, want %d", got[c.status], c.status, want)
			}
		})
	}
	broken := []config.Backend{{Endpoint: rawBackend(t, "HTTP/1.1 200 OK\r\nContent-Le")}, named(t, 1)[0]}
	bothWays(t, config.Route{Backends: broken, OutlierDetection: &config.OutlierDetection{ConsecutiveErrors: 2}}, func(t *testing.T, c *visitor) {
		got := map[int]int{}
		for range 20 {
			resp, _ := c.get()
			got[resp.StatusCode]++
		}
		if got[http.StatusBadGateway] != 2 {
			t.Errorf("answers are %v", got)
		}
	})
}

func TestSharesOfBackendsOverHTTP2AreEqual(t *testing.T) { // L2
	t.Parallel()
	var counts [2]atomic.Int32
	var list []config.Backend
	for i := range counts {
		f := behind(t, config.Route{}, func(http.ResponseWriter, *http.Request) { counts[i].Add(1) }) // it speaks h2c
		list = append(list, config.Backend{Endpoint: strings.Replace(f.URL, "http:", "h2c:", 1)})
	}
	r := config.Route{Name: "r", Path: "/", Backends: list}
	cluster, problems := upstream.NewRegistry(upstream.Settings{}, pool.New()).Acquire(&r)
	if cluster == nil {
		t.Fatal(problems)
	}
	defer cluster.Release()
	if cluster.SpeaksHTTP1() {
		t.Error("the direct way would take a turn that it does not use")
	}
	f := newFront(t, r, "", upstream.Settings{})
	for range 20 {
		if resp := f.get("/"); resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
	}
	if counts[0].Load() != 10 || counts[1].Load() != 10 {
		t.Errorf("%d and %d of 20", counts[0].Load(), counts[1].Load())
	}
}
