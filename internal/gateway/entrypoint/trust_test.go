// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

func TestTheClientIsTheRightmostAddressThatIsNotTrusted(t *testing.T) { // P5
	t.Parallel()
	list := []string{"10.0.0.0/8", "::ffff:172.16.0.0/108", "fd00::/8", "192.0.2.7", " 198.51.100.9 ", "nonsense"}
	on := config.Proxy{Enabled: true, TrustedProxies: list}
	for _, c := range []struct {
		name    string
		proxy   config.Proxy
		peer    string
		header  []string // name, value, name, value…
		client  string
		trusted bool
	}{
		{"nobody is trusted by default", config.Proxy{}, "10.0.0.1", []string{"X-Forwarded-For", "1.1.1.1"}, "10.0.0.1", false},
		{"a list that is off trusts nobody", config.Proxy{TrustedProxies: list}, "10.0.0.1", []string{"X-Forwarded-For", "1.1.1.1"}, "10.0.0.1", false},
		{"an empty list trusts nobody", config.Proxy{Enabled: true}, "10.0.0.1", []string{"X-Forwarded-For", "1.1.1.1"}, "10.0.0.1", false},
		{"an untrusted peer is not believed", on, "9.9.9.9", []string{"X-Forwarded-For", "1.1.1.1"}, "9.9.9.9", false},
		{"a trusted peer is believed", on, "10.0.0.1", []string{"X-Forwarded-For", "1.1.1.1"}, "1.1.1.1", true},
		{"what the client put in front is not", on, "10.0.0.1", []string{"X-Forwarded-For", "6.6.6.6, 1.1.1.1, 10.2.2.2"}, "1.1.1.1", true},
		{"lines join in order", on, "10.0.0.1", []string{"X-Forwarded-For", "6.6.6.6, 1.1.1.1", "X-Forwarded-For", "10.2.2.2"}, "1.1.1.1", true},
		{"garbage ends the walk", on, "10.0.0.1", []string{"X-Forwarded-For", "1.1.1.1, unknown, 10.2.2.2"}, "10.2.2.2", true},
		{"garbage alone leaves the peer", on, "10.0.0.1", []string{"X-Forwarded-For", "_hidden"}, "10.0.0.1", true},
		{"empty elements are none", on, "10.0.0.1", []string{"X-Forwarded-For", "1.1.1.1,, ,10.2.2.2,"}, "1.1.1.1", true},
		{"all are trusted: the first of them", on, "10.0.0.1", []string{"X-Forwarded-For", "10.3.3.3, 10.2.2.2"}, "10.3.3.3", true},
		{"mapped IPv4 is IPv4", on, "::ffff:10.0.0.1", []string{"X-Forwarded-For", "::ffff:1.1.1.1, ::ffff:10.2.2.2"}, "1.1.1.1", true},
		{"a mapped range is a range of IPv4", on, "172.17.0.1", []string{"X-Forwarded-For", "1.1.1.1"}, "1.1.1.1", true},
		{"a single address may be listed", on, "192.0.2.7", []string{"X-Forwarded-For", "1.1.1.1"}, "1.1.1.1", true},
		{"spaces around it do not matter", on, "198.51.100.9", []string{"X-Forwarded-For", "1.1.1.1"}, "1.1.1.1", true},
		{"IPv6, with ports and brackets", on, "fd00::1", []string{"X-Forwarded-For", "[2001:db8::5]:443, [fd00::2], 10.0.0.9:1234"}, "2001:db8::5", true},
		{"a zone is no other address", on, "fd00::1%eth0", []string{"X-Forwarded-For", "1.1.1.1"}, "1.1.1.1", true},
		{"X-Real-IP where no chain is", on, "10.0.0.1", []string{"X-Real-Ip", "1.1.1.1"}, "1.1.1.1", true},
		{"an empty chain is none", on, "10.0.0.1", []string{"X-Forwarded-For", " ", "X-Real-Ip", "1.1.1.1"}, "1.1.1.1", true},
		{"the chain before X-Real-IP", on, "10.0.0.1", []string{"X-Real-Ip", "2.2.2.2", "X-Forwarded-For", "1.1.1.1"}, "1.1.1.1", true},
		{
			"the headers that are configured", config.Proxy{Enabled: true, TrustedProxies: list, IPHeaders: []string{"cf-connecting-ip"}},
			"10.0.0.1", []string{"X-Forwarded-For", "2.2.2.2", "Cf-Connecting-Ip", "1.1.1.1"}, "1.1.1.1", true,
		},
		{"no header at all", on, "10.0.0.1", nil, "10.0.0.1", true},
	} {
		e := &EntryPoint{}
		e.settings.Store(newSettings(c.proxy, config.Timeouts{}))
		r := &http.Request{RemoteAddr: netip.AddrPortFrom(netip.MustParseAddr(c.peer), 1).String(), Header: http.Header{}}
		for i := 0; i < len(c.header); i += 2 {
			r.Header.Add(c.header[i], c.header[i+1])
		}
		x := &exchange.Exchange{}
		e.identify(x, peerOf(r), r.Header, newID)
		if x.ClientIP.String() != c.client || x.PeerTrusted != c.trusted {
			t.Errorf("%s: %s, trusted %v; want %s, %v", c.name, x.ClientIP, x.PeerTrusted, c.client, c.trusted)
		}
	}
}

func TestOnlyATrustedPeerChangesTheScheme(t *testing.T) { // P5
	t.Parallel()
	for _, c := range []struct {
		secure, trusted bool
		proto           []string
		want            string
	}{
		{false, false, []string{"https"}, "http"},
		{true, false, []string{"http"}, "https"},
		{false, true, []string{"https"}, "https"},
		{true, true, []string{"http"}, "http"},
		{false, true, []string{" HTTPS "}, "https"},
		{false, true, []string{"javascript"}, "http"},
		{true, true, []string{""}, "https"},
		{false, true, []string{"https, http"}, "http"},
		{false, true, []string{"http", "https"}, "https"},
		{false, true, nil, "http"},
	} {
		e := &EntryPoint{secure: c.secure}
		e.settings.Store(newSettings(config.Proxy{Enabled: c.trusted, TrustedProxies: []string{"10.0.0.1"}}, config.Timeouts{}))
		r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"X-Forwarded-Proto": c.proto}}
		x := &exchange.Exchange{}
		if e.identify(x, peerOf(r), r.Header, newID); x.Scheme != c.want {
			t.Errorf("%+v: %s", c, x.Scheme)
		}
	}
}

func TestARequestIDIsTakenOnlyWhenItIsHarmless(t *testing.T) { // B5
	t.Parallel()
	for _, c := range []struct {
		values []string
		taken  bool
	}{
		{[]string{"abc-123_X.y:z/1+2=@"}, true},
		{[]string{strings.Repeat("a", 128)}, true},
		{[]string{strings.Repeat("a", 129)}, false},
		{[]string{""}, false},
		{[]string{"a b"}, false},
		{[]string{"a\nb"}, false},
		{[]string{"a\"b"}, false},
		{[]string{"é"}, false},
		{[]string{"a", "b"}, false},
		{nil, false},
	} {
		e := &EntryPoint{}
		e.settings.Store(newSettings(config.Proxy{}, config.Timeouts{}))
		x := &exchange.Exchange{}
		e.identify(x, netip.Addr{}, http.Header{"X-Request-Id": c.values}, newID)
		if c.taken && (x.RequestID != c.values[0] || x.ClientRequestID != c.values[0]) {
			t.Errorf("%q was not taken: %q", c.values, x.RequestID)
		}
		if !c.taken && (x.ClientRequestID != "" || len(x.RequestID) != 32) {
			t.Errorf("%q became %q, %q", c.values, x.ClientRequestID, x.RequestID)
		}
	}
}

// FuzzForwardedChain holds that an untrusted address never comes from the left of
// one that is untrusted too.
func FuzzForwardedChain(f *testing.F) {
	for _, s := range []string{"1.1.1.1, 10.0.0.2", "a,b", "[::1]:1", ",,", "::ffff:10.0.0.1", "10.0.0.1:x"} {
		f.Add(s)
	}
	trusted := newTrust(config.Proxy{Enabled: true, TrustedProxies: []string{"10.0.0.0/8"}})
	peer, last := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("1.2.3.4")
	f.Fuzz(func(t *testing.T, chain string) {
		if got := trusted.walk(peer, []string{chain, "1.2.3.4, 10.9.9.9"}); got != last {
			t.Fatalf("%q in front of 1.2.3.4 made %s the client", chain, got)
		}
		if got := trusted.walk(peer, []string{chain}); !got.IsValid() || got.Zone() != "" {
			t.Fatalf("%q made %v the client", chain, got)
		}
	})
}
