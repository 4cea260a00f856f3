// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/gaissmai/bart"

	"gateway.jkaninda.dev/goma/internal/config"
)

// trust is whose word on the client's address is taken. The zero value trusts
// nobody; so does a list that is empty.
type trust struct {
	proxies *bart.Lite
	headers []string
}

const forwardedProto = "X-Forwarded-Proto"

var defaultIPHeaders = []string{"X-Forwarded-For", "X-Real-Ip"}

func newTrust(p config.Proxy) trust {
	if !p.Enabled {
		return trust{}
	}
	t := trust{proxies: new(bart.Lite), headers: defaultIPHeaders}
	for _, s := range p.TrustedProxies {
		if prefix, ok := parsePrefix(s); ok {
			t.proxies.Insert(prefix)
		}
	}
	if len(p.IPHeaders) > 0 {
		t.headers = nil
		for _, name := range p.IPHeaders {
			t.headers = append(t.headers, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	return t
}

// parsePrefix reads an address or a CIDR. Those of mapped IPv4 become IPv4. What
// is neither trusts nobody, and has been reported when the file was loaded.
func parsePrefix(s string) (netip.Prefix, bool) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(s); err == nil {
		a = plain(a)
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

func (t *trust) has(a netip.Addr) bool {
	return t.proxies != nil && a.IsValid() && t.proxies.Contains(a)
}

// client walks the chain that a trusted peer sent, from its end to the first
// address that is not trusted. The first header of the list that is there counts.
func (t *trust) client(peer netip.Addr, h fields) netip.Addr {
	for _, name := range t.headers {
		lines := h.Values(name)
		for _, line := range lines {
			if strings.TrimSpace(line) != "" {
				return t.walk(peer, lines)
			}
		}
	}
	return peer
}

// walk goes over several lines as over one. What is no address ends it, at the
// last one that was. P5
func (t *trust) walk(peer netip.Addr, lines []string) netip.Addr {
	last := peer
	for i := len(lines) - 1; i >= 0; i-- {
		rest := lines[i]
		for more := true; more; {
			var entry string
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				entry, rest = rest[comma+1:], rest[:comma]
			} else {
				entry, more = rest, false
			}
			if entry = strings.TrimSpace(entry); entry == "" {
				continue // lists may have empty elements, RFC 9110 section 5.6.1
			}
			a, ok := parseHop(entry)
			if !ok {
				return last
			}
			if last = a; !t.has(a) {
				return a
			}
		}
	}
	return last
}

// parseHop reads one entry: an address, which some proxies send with a port.
func parseHop(entry string) (netip.Addr, bool) {
	if inner, ok := strings.CutPrefix(entry, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			entry = inner
		}
	}
	if a, err := netip.ParseAddr(entry); err == nil {
		return plain(a), true
	}
	if at, err := netip.ParseAddrPort(entry); err == nil {
		return plain(at.Addr()), true
	}
	return netip.Addr{}, false
}

// scheme takes the word of the nearest proxy, if it is one of the two there are.
func scheme(own string, lines []string) string {
	if len(lines) == 0 {
		return own
	}
	last := lines[len(lines)-1]
	if comma := strings.LastIndexByte(last, ','); comma >= 0 {
		last = last[comma+1:]
	}
	switch last = strings.ToLower(strings.TrimSpace(last)); last {
	case "http", "https":
		return last
	}
	return own
}
