// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// zone answers lookups, and counts them.
type zone struct {
	mu sync.Mutex

	addresses []netip.Addr
	err       error
	asked     atomic.Int32
}

func (z *zone) set(err error, addresses ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.err, z.addresses = err, nil
	for _, a := range addresses {
		z.addresses = append(z.addresses, netip.MustParseAddr(a))
	}
}

func (z *zone) lookup(context.Context, string) ([]netip.Addr, error) {
	z.asked.Add(1)
	z.mu.Lock()
	defer z.mu.Unlock()
	return append([]netip.Addr(nil), z.addresses...), z.err
}

func (z *zone) names(ttl int) *names {
	n := newNames(nil, &ttl)
	n.lookup = z.lookup
	return n
}

func (z *zone) expect(t *testing.T, n *names, want string, asked int32) {
	t.Helper()
	got, err := n.of(t.Context(), "shop")
	text := fmt.Sprint(got)
	if err != nil {
		text = "error"
	}
	if text != want {
		t.Errorf("got %s, %v, want %s", text, err, want)
	}
	synctest.Wait() // for what was begun
	if a := z.asked.Load(); a != asked {
		t.Errorf("asked %d times, want %d", a, asked)
	}
}

var (
	errMissing = &net.DNSError{Err: "no such host", IsNotFound: true}
	errServer  = &net.DNSError{Err: "server misbehaving", IsTemporary: true}
)

func TestANameIsLookedUpWhenItsAddressesAreOld(t *testing.T) { // U6
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		z := &zone{}
		n := z.names(60)
		z.set(nil, "192.0.2.1")
		z.expect(t, n, "[192.0.2.1]", 1)
		time.Sleep(50 * time.Second)
		z.set(nil, "192.0.2.2", "2001:db8::2")
		z.expect(t, n, "[192.0.2.1]", 1)
		time.Sleep(11 * time.Second)
		z.expect(t, n, "[192.0.2.1]", 2) // while it is looked up
		z.expect(t, n, "[192.0.2.2 2001:db8::2]", 2)
	})
}

func TestNameServersThatDoNotAnswerTakeNoAddressesAway(t *testing.T) { // U6
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		z := &zone{}
		n := z.names(60)
		z.set(nil, "192.0.2.1")
		z.expect(t, n, "[192.0.2.1]", 1)
		z.set(errServer)
		time.Sleep(time.Minute)
		z.expect(t, n, "[192.0.2.1]", 2)
		z.expect(t, n, "[192.0.2.1]", 2) // they are not stormed
		time.Sleep(2 * time.Second)
		z.expect(t, n, "[192.0.2.1]", 3)
		time.Sleep(staleFor)
		z.expect(t, n, "[192.0.2.1]", 4)
		z.expect(t, n, "error", 4) // but not for ever
		z.set(nil, "192.0.2.3")
		time.Sleep(negativeTTL)
		z.expect(t, n, "[192.0.2.3]", 5)
		z.set(errMissing)
		time.Sleep(time.Minute)
		z.expect(t, n, "[192.0.2.3]", 6)
		z.expect(t, n, "error", 6) // a name that is gone has no addresses
	})
}

func TestWhatDoesNotExistIsAskedForOnceASecond(t *testing.T) { // U6
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		z := &zone{}
		n := z.names(60)
		z.set(errMissing)
		for range 100 {
			z.expect(t, n, "error", 1)
		}
		time.Sleep(negativeTTL)
		z.set(nil)
		z.expect(t, n, "error", 2) // a name without addresses
		z.set(nil, "192.0.2.1")
		time.Sleep(negativeTTL)
		z.expect(t, n, "[192.0.2.1]", 3)
	})
}

func TestAllWhoAskAtATimeShareOneLookup(t *testing.T) { // U6
	t.Parallel()
	for _, ttl := range []int{0, 60} {
		synctest.Test(t, func(t *testing.T) {
			n := newNames(nil, &ttl)
			var asked atomic.Int32
			release := make(chan struct{})
			n.lookup = func(context.Context, string) ([]netip.Addr, error) {
				asked.Add(1)
				<-release
				return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
			}
			var group sync.WaitGroup
			for range 1000 {
				group.Go(func() {
					if got, err := n.of(t.Context(), "shop"); err != nil || len(got) != 1 {
						t.Error(got, err)
					}
				})
			}
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := n.of(ctx, "shop")
			if timeout, ok := errors.AsType[*net.DNSError](err); !ok || !timeout.IsTimeout {
				t.Errorf("who cannot wait: %v", err)
			}
			close(release)
			group.Wait()
			if asked.Load() != 1 {
				t.Errorf("%d lookups", asked.Load())
			}
		})
	}
}

func TestABrokenNameHoldsNoOther(t *testing.T) { // U6
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNames(nil, nil)
		n.lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			switch host {
			case "broken":
				<-ctx.Done()
				return nil, ctx.Err()
			case "panic":
				panic("a bug")
			}
			return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
		}
		done := make(chan error)
		go func() {
			_, err := n.of(t.Context(), "broken")
			done <- err
		}()
		synctest.Wait()
		if _, err := n.of(t.Context(), "good"); err != nil {
			t.Error(err)
		}
		if _, err := n.of(t.Context(), "panic"); err == nil { // E5
			t.Error("a panic is no address")
		}
		begin := time.Now()
		if err := <-done; err == nil || time.Since(begin) != lookupTimeout {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
	})
}

func TestNamesThatNobodyUsesAreForgotten(t *testing.T) { // U6
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		z := &zone{}
		z.set(nil, "192.0.2.1")
		n := z.names(60)
		f := n.follow("followed", func([]netip.Addr) {})
		for _, host := range []string{"a", "b", "followed"} {
			if _, err := n.of(t.Context(), host); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(forgetAfter + time.Second)
		_, _ = n.of(t.Context(), "c")
		synctest.Wait()
		if len(n.known) != 2 || n.known["followed"] == nil {
			t.Errorf("known are %v", n.known)
		}
		f.end()
		if len(n.followers) != 0 {
			t.Error("a follower is left")
		}
	})
}

func TestForgettingHasNamesLookedUpFirst(t *testing.T) { // C7, U6
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		z := &zone{}
		z.set(nil, "192.0.2.1")
		n := z.names(3600)
		z.expect(t, n, "[192.0.2.1]", 1)
		z.set(nil, "192.0.2.2")
		n.forget()
		z.expect(t, n, "[192.0.2.2]", 2)
	})
}

func TestDefaultTTLOfNames(t *testing.T) { // C7
	t.Parallel()
	if n := newNames(nil, nil); n.ttl != 300*time.Second {
		t.Error(n.ttl)
	}
	g := registry(t, Settings{Networking: config.Networking{DNSCache: config.DNSCache{TTL: new(7)}}})
	if n := g.dialer.names; n.ttl != 7*time.Second {
		t.Error(n.ttl)
	}
}

func TestAllAddressesGetTheirTurnAndFamiliesAlternate(t *testing.T) { // U6
	t.Parallel()
	var list []netip.Addr
	for _, a := range []string{"2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		list = append(list, netip.MustParseAddr(a))
	}
	first := map[netip.Addr]int{}
	for turn := range uint64(12) {
		got := order(list, turn)
		seen := map[netip.Addr]bool{}
		for _, ip := range got {
			seen[ip] = true
		}
		if len(seen) != len(list) || got[0].Is4() || !got[1].Is4() || got[2].Is4() || !got[3].Is4() {
			t.Errorf("order is %v", got)
		}
		first[got[0]]++
	}
	if len(first) != 2 || first[list[0]] != 6 {
		t.Errorf("first are %v", first)
	}
}

// cluster of servers at several addresses of this host, at one port.
func addresses(t *testing.T, h http.Handler, ips ...string) (port string) {
	t.Helper()
	for _, ip := range ips {
		l, err := net.Listen("tcp", net.JoinHostPort(ip, port))
		if port == "" {
			l, err = net.Listen("tcp", net.JoinHostPort(ip, "0"))
		}
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewUnstartedServer(h)
		_ = s.Listener.Close()
		s.Listener = l
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetHTTP1(true)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
		t.Cleanup(s.Close)
		_, port, _ = net.SplitHostPort(l.Addr().String())
	}
	return port
}

func whoami(w http.ResponseWriter, r *http.Request) {
	at, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	host, _, _ := net.SplitHostPort(at.String())
	_, _ = w.Write([]byte(host))
}

// zoned is a registry whose names a zone answers.
func zoned(t *testing.T, z *zone) *Registry {
	t.Helper()
	g := registry(t, Settings{})
	g.dialer.names.lookup = z.lookup
	return g
}

func TestADeadAddressDoesNotHoldARequest(t *testing.T) { // U6
	t.Parallel()
	z := &zone{}
	port := addresses(t, http.HandlerFunc(whoami), "127.0.0.3")
	// Nobody listens at the first, and the second is nowhere.
	z.set(nil, "127.0.0.2", "192.0.2.1", "127.0.0.3")
	for _, scheme := range []string{"http", "h2c"} {
		c := acquire(t, zoned(t, z), target(scheme+"://shop:"+port))
		if _, body, err := ask(t, c); err != nil || body != "127.0.0.3" {
			t.Errorf("%s: %q, %v", scheme, body, err)
		}
	}
	z.set(nil, "127.0.0.2", "127.0.0.4")
	_, _, err := ask(t, acquire(t, zoned(t, z), target("http://shop:"+port)))
	if _, unconnected := errors.AsType[*ConnectError](err); !unconnected {
		t.Errorf("with nobody anywhere: %v", err)
	}
	z.set(nil, "169.254.169.254", "127.0.0.3") // U7
	if _, body, err := ask(t, acquire(t, zoned(t, z), target("http://shop:"+port))); err != nil || body != "127.0.0.3" {
		t.Errorf("beside a forbidden address: %q, %v", body, err)
	}
}

func TestConnectionsFollowTheAddressesOfTheirName(t *testing.T) { // U6
	t.Parallel()
	for _, scheme := range []string{"http", "h2c"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			z := &zone{}
			port := addresses(t, http.HandlerFunc(whoami), "127.0.0.5", "127.0.0.6")
			g := zoned(t, z)
			z.set(nil, "127.0.0.5")
			c := acquire(t, g, target(scheme+"://Shop:"+port))
			at := func() string {
				_, body, err := ask(t, c)
				if err != nil {
					t.Fatal(err)
				}
				return body
			}
			if got := at(); got != "127.0.0.5" {
				t.Fatal(got)
			}
			// Nothing breaks, and nobody has to dial; the address is another one.
			z.set(nil, "127.0.0.6")
			g.ForgetNames()
			eventually(t, "requests go to the new address", func() bool { return at() == "127.0.0.6" })
			// A request that holds a connection to an address that goes gets its answer;
			// the connection is not used again.
			if scheme == "http" {
				e := c.endpoints[0]
				eventually(t, "it is the only one", func() bool { e.conns.mu.Lock(); defer e.conns.mu.Unlock(); return e.conns.open == 1 })
			}
		})
	}
}

func TestKeptConnectionsHaveTheirNameLookedUp(t *testing.T) { // U6
	t.Parallel()
	z := &zone{}
	port := addresses(t, http.HandlerFunc(whoami), "127.0.0.7", "127.0.0.8")
	g := zoned(t, z)
	g.dialer.names.ttl = 0
	z.set(nil, "127.0.0.7")
	c := acquire(t, g, target("http://shop:"+port))
	if _, body, _ := ask(t, c); body != "127.0.0.7" {
		t.Fatal(body)
	}
	z.set(nil, "127.0.0.8")
	conns := c.endpoints[0].conns
	eventually(t, "a request that needs no new connection finds the new address", func() bool {
		conns.name.next.Store(0) // time passes
		_, body, err := ask(t, c)
		return err == nil && body == "127.0.0.8"
	})
}

func TestAnAddressThatIsGoneIsLookedUpBeforeARequestFails(t *testing.T) { // U6
	t.Parallel()
	z := &zone{}
	port := addresses(t, http.HandlerFunc(whoami), "127.0.0.9")
	g := zoned(t, z)
	z.set(nil, "127.0.0.10") // as it was before
	if _, err := g.dialer.names.of(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	g.dialer.names.mu.Lock()
	g.dialer.names.known["shop"].looked = time.Now().Add(-time.Minute)
	g.dialer.names.mu.Unlock()
	z.set(nil, "127.0.0.9")
	if _, body, err := ask(t, acquire(t, g, target("http://shop:"+port))); err != nil || body != "127.0.0.9" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestTheQueueForConnectionsOverHTTP2IsBounded(t *testing.T) { // U8
	t.Parallel()
	c := acquire(t, registry(t, Settings{Networking: config.Networking{Transport: config.Transport{MaxConnsPerHost: new(1)}}}), target("https://127.0.0.1:1"))
	e := c.endpoints[0]
	e.waiting.Store(waitersPerConn)
	if _, _, err := ask(t, c); !errors.Is(err, ErrBusy) {
		t.Errorf("%v", err)
	}
	e.waiting.Store(0)
	if _, _, err := ask(t, c); errors.Is(err, ErrBusy) || err == nil {
		t.Errorf("%v", err)
	}
	if n := e.waiting.Load(); n != 0 {
		t.Errorf("%d wait", n)
	}
}
