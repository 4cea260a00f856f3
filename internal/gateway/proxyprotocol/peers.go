// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxyprotocol

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/gaissmai/bart"

	"gateway.jkaninda.dev/goma/internal/config"
)

// Peers are those whose headers are believed. The zero value trusts nobody.
type Peers struct{ ranges *bart.Lite }

// ParsePeers reads addresses and CIDR ranges. IPv4 in IPv6 form is IPv4. P5
func ParsePeers(list []string) (Peers, error) {
	p := Peers{ranges: new(bart.Lite)}
	for _, text := range list {
		text = strings.TrimSpace(text)
		if a, err := netip.ParseAddr(text); err == nil {
			a = a.Unmap().WithZone("")
			p.ranges.Insert(netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		r, err := netip.ParsePrefix(text)
		if err != nil {
			return Peers{}, fmt.Errorf("%q is neither an IP address nor a range like 10.0.0.0/8", text)
		}
		if a := r.Addr(); a.Is4In6() && r.Bits() >= 96 {
			r = netip.PrefixFrom(a.Unmap(), r.Bits()-96)
		}
		p.ranges.Insert(r.Masked())
	}
	return p, nil
}

// Configured gives those of a setting: its own list, or else the proxies that the
// gateway trusts. It is an error when that is nobody, since headers would pass as
// data.
func Configured(list []string, proxy config.Proxy) (Peers, error) {
	if len(list) == 0 && proxy.Enabled {
		list = proxy.TrustedProxies
	}
	if len(list) == 0 {
		return Peers{}, errors.New("nobody is trusted to send headers of the PROXY protocol")
	}
	return ParsePeers(list)
}

// Trusts tells whether headers from an address are believed.
func (p Peers) Trusts(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return p.ranges != nil && a.IsValid() && p.ranges.Contains(a)
}

// addrPort gives the address of a TCP connection's end; of others it is not valid.
func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		return plain(t.AddrPort())
	}
	return netip.AddrPort{}
}
