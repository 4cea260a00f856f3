// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxyprotocol

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

const hello = "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"

func peers(t *testing.T, list ...string) Peers {
	t.Helper()
	p, err := ParsePeers(list)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// listening gives a listener on loopback that is closed at the end of the test.
func listening(t *testing.T, o Options) *Listener {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := NewListener(inner, o)
	t.Cleanup(func() { l.Close() })
	return l
}

func dial(t *testing.T, l net.Listener, send string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, send); err != nil {
		t.Fatal(err)
	}
	return c
}

func accept(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func read(t *testing.T, c net.Conn, n int) string {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAConnectionOfATrustedPeerHasTheAddressesOfItsHeader(t *testing.T) {
	t.Parallel()
	l := listening(t, Options{Trusted: peers(t, "127.0.0.0/8")})
	client := dial(t, l, hello+"with it")
	c := accept(t, l)
	if c.RemoteAddr().String() != "192.0.2.1:56324" || c.LocalAddr().String() != "198.51.100.2:443" {
		t.Errorf("from %v to %v", c.RemoteAddr(), c.LocalAddr())
	}
	if peer := c.(*Conn).Peer().String(); peer != client.LocalAddr().String() {
		t.Errorf("the peer is %s", peer)
	}
	if _, err := io.WriteString(client, " and later"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, c, 17); got != "with it and later" {
		t.Errorf("%q arrives", got)
	}
}

func TestAPeerThatSpeaksForItselfKeepsItsAddress(t *testing.T) {
	t.Parallel()
	l := listening(t, Options{Trusted: peers(t, "127.0.0.1")})
	client := dial(t, l, v2(0x20, 0, ""))
	if c := accept(t, l); c.RemoteAddr().String() != client.LocalAddr().String() {
		t.Errorf("it comes from %v", c.RemoteAddr())
	}
}

// P5, G6: nobody chooses an address by sending a header.
func TestAHeaderOfAnotherPeerIsData(t *testing.T) {
	t.Parallel()
	for _, trusted := range []Peers{{}, peers(t), peers(t, "10.0.0.0/8", "::/0")} {
		l := listening(t, Options{Trusted: trusted})
		client := dial(t, l, hello)
		c := accept(t, l)
		if c.RemoteAddr().String() != client.LocalAddr().String() {
			t.Errorf("it comes from %v", c.RemoteAddr())
		}
		if got := read(t, c, len(hello)); got != hello {
			t.Errorf("%q arrives", got)
		}
	}
}

// G6
func TestATrustedPeerWithoutAHeaderIsRefusedAndTheOthersAreServed(t *testing.T) {
	t.Parallel()
	refused := make(chan error, 2)
	l := listening(t, Options{Trusted: peers(t, "127.0.0.1"), Refused: func(peer netip.Addr, err error) {
		if peer != netip.MustParseAddr("127.0.0.1") {
			t.Errorf("refused %v", peer)
		}
		refused <- err
	}})
	plain := dial(t, l, behind)
	broken := dial(t, l, "PROXY TCP4 nonsense\r\n")
	for range 2 {
		if err := <-refused; !errors.Is(err, ErrMissing) && !errors.Is(err, ErrMalformed) {
			t.Error(err)
		}
	}
	for _, c := range []net.Conn{plain, broken} {
		if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
	dial(t, l, hello)
	accept(t, l)
}

// H9: one that stalls within its header holds back nobody.
func TestAStalledHeaderDoesNotHoldBackOthers(t *testing.T) {
	t.Parallel()
	l := listening(t, Options{Trusted: peers(t, "127.0.0.1"), Timeout: time.Hour})
	for _, part := range []string{"", "P", hello[:20], signatureV2[:5], v2(0x21, 0x11, four)[:18]} {
		dial(t, l, part)
	}
	dial(t, l, hello)
	if c := accept(t, l); c.RemoteAddr().String() != "192.0.2.1:56324" {
		t.Errorf("it comes from %v", c.RemoteAddr())
	}
}

// H9: the time is for the whole header, so that one byte now and then wins none.
func TestAHeaderThatTricklesIsCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		defer server.Close()
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			for _, b := range []byte(hello) {
				if _, err := client.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		began := time.Now()
		_, err := Welcome(server, 5*time.Second)
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 5*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		server.Close()
		<-stopped
	})
}

func TestTheDeadlineOfTheHeaderIsGoneBehindIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		defer server.Close()
		go func() {
			_, _ = io.WriteString(client, hello)
			time.Sleep(time.Minute)
			_, _ = io.WriteString(client, "late")
		}()
		c, err := Welcome(server, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, c, 4); got != "late" {
			t.Errorf("%q", got)
		}
	})
}

func TestTrustChangesForConnectionsToCome(t *testing.T) {
	t.Parallel()
	l := listening(t, Options{})
	client := dial(t, l, hello)
	if c := accept(t, l); c.RemoteAddr().String() != client.LocalAddr().String() {
		t.Errorf("before, it comes from %v", c.RemoteAddr())
	}
	l.Trust(peers(t, "127.0.0.1"))
	dial(t, l, hello)
	if c := accept(t, l); c.RemoteAddr().String() != "192.0.2.1:56324" {
		t.Errorf("then, it comes from %v", c.RemoteAddr())
	}
}

func TestCloseEndsWhatWaits(t *testing.T) {
	t.Parallel()
	l := listening(t, Options{Trusted: peers(t, "127.0.0.1"), Timeout: time.Hour})
	stalled := dial(t, l, hello[:10])
	dial(t, l, hello)
	accept(t, l) // so the stalled one, which came first, has been taken too
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	if n, err := stalled.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("the one that stalls is still there: %d, %v", n, err)
	}
}

func TestAServerBehindTheListenerSeesTheClient(t *testing.T) {
	t.Parallel()
	l := listening(t, Options{Trusted: peers(t, "127.0.0.1")})
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) })}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	c := dial(t, l, hello+"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	answer, err := io.ReadAll(c)
	if err != nil || !strings.HasSuffix(string(answer), "\r\n192.0.2.1:56324") {
		t.Errorf("%q, %v", answer, err)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

func TestDetachGivesTheConnectionAndWhatCameWithTheHeader(t *testing.T) {
	t.Parallel()
	l := listening(t, Options{Trusted: peers(t, "127.0.0.1")})
	dial(t, l, hello+"early")
	c := accept(t, l).(*Conn)
	if early, below := c.Detach(); string(early) != "early" || below != c.Conn {
		t.Errorf("%q, %v", early, below)
	}
}

func TestASettingWithoutAListMeansTheProxiesOfTheGateway(t *testing.T) {
	t.Parallel()
	proxy := config.Proxy{Enabled: true, TrustedProxies: []string{"10.0.0.0/8"}}
	for _, c := range []struct {
		list            []string
		proxy           config.Proxy
		trusted, others string // others is empty where there is an error
	}{
		{nil, proxy, "10.0.0.1", "192.0.2.1"},
		{[]string{"192.0.2.1"}, proxy, "192.0.2.1", "10.0.0.1"},
		{nil, config.Proxy{TrustedProxies: []string{"10.0.0.0/8"}}, "", ""}, // not enabled
		{nil, config.Proxy{Enabled: true}, "", ""},
		{[]string{"lb"}, proxy, "", ""},
	} {
		p, err := Configured(c.list, c.proxy)
		if c.trusted == "" {
			if err == nil || p.Trusts(netip.MustParseAddr("10.0.0.1")) {
				t.Errorf("%v, %+v: no error, or somebody is trusted", c.list, c.proxy)
			}
			continue
		}
		if err != nil || !p.Trusts(netip.MustParseAddr(c.trusted)) || p.Trusts(netip.MustParseAddr(c.others)) {
			t.Errorf("%v, %+v: %v", c.list, c.proxy, err)
		}
	}
}

func TestPeersAreAddressesAndRanges(t *testing.T) {
	t.Parallel()
	p := peers(t, " 10.0.0.1 ", "192.168.0.0/16", "2001:db8::/32", "::ffff:172.16.0.0/108")
	for address, want := range map[string]bool{
		"10.0.0.1": true, "::ffff:10.0.0.1": true, "10.0.0.2": false, "192.168.200.1": true, "2001:db8:1::5": true,
		"2001:db9::1": false, "172.16.9.9": true, "172.32.0.1": false, "::1": false,
	} {
		if got := p.Trusts(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	if p.Trusts(netip.Addr{}) {
		t.Error("what is no address is trusted")
	}
	for _, text := range []string{"localhost", "10.0.0.0/33", "", "10.0.0.1-10.0.0.9"} {
		if _, err := ParsePeers([]string{text}); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
