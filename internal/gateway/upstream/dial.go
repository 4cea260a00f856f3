// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	dialTimeout = 5 * time.Second
	keepAlive   = 30 * time.Second
)

// ErrForbidden refuses an address that no backend may have.
var ErrForbidden = errors.New("the address is link-local, or the gateway's own")

// dialer connects to backends.
type dialer struct {
	net     net.Dialer
	resolve map[string]string
	own     func() []netip.AddrPort
}

func newDialer(s Settings) *dialer {
	d := &dialer{resolve: s.Resolve, own: s.Own}
	d.net = net.Dialer{
		Timeout: dialTimeout, KeepAlive: keepAlive,
		Control: d.control, Resolver: resolver(s.Networking.DNSCache.Resolver),
	}
	return d
}

// DialContext connects to address, or to where resolve sends it.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if elsewhere, ok := d.resolve[strings.ToLower(address)]; ok {
		address = elsewhere
	}
	return d.net.DialContext(ctx, network, address)
}

// control sees the address after names have been resolved, so that no name leads
// where no address may. U7
func (d *dialer) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := at.Addr().Unmap().WithZone("")
	if ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() {
		return ErrForbidden
	}
	if d.own != nil && slices.Contains(d.own(), netip.AddrPortFrom(ip, at.Port())) {
		return ErrForbidden
	}
	return nil
}

// resolver asks the named servers in turn; without any, the system's.
func resolver(servers []string) *net.Resolver {
	if len(servers) == 0 {
		return nil
	}
	var addresses []string
	for _, s := range servers {
		if _, _, err := net.SplitHostPort(s); err != nil {
			s = net.JoinHostPort(strings.Trim(s, "[]"), "53")
		}
		addresses = append(addresses, s)
	}
	var turn atomic.Uint64
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, addresses[(turn.Add(1)-1)%uint64(len(addresses))])
		},
	}
}
