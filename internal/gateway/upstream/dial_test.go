// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"gateway.jkaninda.dev/goma/internal/config"
)

func TestResolveSendsConnectionsElsewhere(t *testing.T) {
	t.Parallel()
	var host atomic.Value
	s := server(t, func(_ http.ResponseWriter, r *http.Request) { host.Store(r.Host) })
	g := registry(t, Settings{Resolve: map[string]string{"shop.default.svc:80": s.Listener.Addr().String()}})
	for _, endpoint := range []string{"http://shop.default.svc", "http://Shop.default.svc:80"} {
		if _, _, err := ask(t, acquire(t, g, target(endpoint))); err != nil {
			t.Fatal(err)
		}
		if got := host.Load().(string); !strings.HasPrefix(strings.ToLower(got), "shop.default.svc") {
			t.Fatalf("the backend was asked for %s", got)
		}
	}
}

func TestAddressesThatNoBackendMayHave(t *testing.T) { // U7
	t.Parallel()
	s := server(t, func(http.ResponseWriter, *http.Request) {})
	own := netip.MustParseAddrPort(s.Listener.Addr().String())
	other := server(t, func(http.ResponseWriter, *http.Request) {})
	everywhere := func() []netip.AddrPort {
		return []netip.AddrPort{netip.AddrPortFrom(netip.IPv6Unspecified(), own.Port())}
	}
	exactly := func() []netip.AddrPort { return []netip.AddrPort{own} }
	for _, c := range []struct {
		name, to string
		own      func() []netip.AddrPort
		refused  bool
	}{
		{"the metadata service", "169.254.169.254:80", nil, true},
		{"the metadata service, mapped", "[::ffff:169.254.169.254]:80", nil, true},
		{"link-local IPv6", "[fe80::1]:80", nil, true},
		{"multicast", "224.0.0.1:80", nil, true},
		{"a listener of the gateway", own.String(), exactly, true},
		{"a listener on all addresses", own.String(), everywhere, true},
		{"a listener by its unspecified address", netip.AddrPortFrom(netip.IPv4Unspecified(), own.Port()).String(), exactly, true},
		{"another port of this host", other.Listener.Addr().String(), everywhere, false},
		{"this host, when nobody says what is our own", own.String(), nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			// The name stands for one that resolves to the address.
			d := newDialer(Settings{Own: c.own, Resolve: map[string]string{"name:80": c.to}})
			conn, err := d.DialContext(t.Context(), "tcp", "name:80")
			if conn != nil {
				_ = conn.Close()
			}
			if c.refused != errors.Is(err, ErrForbidden) || !c.refused && err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestAForbiddenAddressIsAProblemOfTheRoute(t *testing.T) { // U7
	t.Parallel()
	for _, endpoint := range []string{"http://169.254.169.254/latest", "http://[fe80::1]:80", "http://[::ffff:169.254.1.1]"} {
		if p := problem(t, registry(t, Settings{}), target(endpoint)); p.Field != "target" || p.Reason != config.ReasonInvalid {
			t.Errorf("%s: %s", endpoint, p)
		}
	}
}

func TestLoopbackOfBothFamiliesIsLegal(t *testing.T) { // U5: IPv6 targets work
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Logf("this machine has no %s", address)
			continue
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(r.Host))
		})}
		go func() { _ = s.Serve(l) }()
		t.Cleanup(func() { _ = s.Close() })
		c := acquire(t, registry(t, Settings{}), target("http://"+l.Addr().String()))
		if _, body, err := ask(t, c); err != nil || body != l.Addr().String() {
			t.Errorf("%s: %q, %v", address, body, err)
		}
	}
}

func TestTheNamedResolverIsAsked(t *testing.T) { // C7, U7
	t.Parallel()
	s := server(t, func(http.ResponseWriter, *http.Request) {})
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	for name, c := range map[string]struct {
		answer [4]byte
		want   error
	}{
		"shop.example.": {[4]byte{127, 0, 0, 1}, nil},
		"evil.example.": {[4]byte{169, 254, 169, 254}, ErrForbidden},
	} {
		dns := nameServer(t, name, c.answer)
		g := registry(t, Settings{Networking: config.Networking{DNSCache: config.DNSCache{Resolver: []string{dns}}}})
		if _, _, err := ask(t, acquire(t, g, target("http://"+name+":"+port))); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// nameServer is a DNS server that knows one name.
func nameServer(t *testing.T, name string, address [4]byte) string {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		buffer := make([]byte, 1500)
		for {
			n, from, err := l.ReadFrom(buffer)
			if err != nil {
				return
			}
			if answer := answerTo(buffer[:n], name, address); answer != nil {
				_, _ = l.WriteTo(answer, from)
			}
		}
	}()
	return l.LocalAddr().String()
}

func answerTo(query []byte, name string, address [4]byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.Additionals = true, nil
	switch {
	case q.Name.String() != name:
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
			Body:   &dnsmessage.AResource{A: address},
		}}
	}
	packed, err := m.Pack()
	if err != nil {
		return nil
	}
	return packed
}
