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
var ErrForbidden = errors.New("the address is link-local, multicast or the gateway's own; name another backend")

// dialer connects to backends.
type dialer struct {
	net     net.Dialer
	resolve map[string]string
	own     func() []netip.AddrPort
}

func newDialer(s Settings) *dialer {
	d := &dialer{resolve: s.Resolve, own: s.Own}
	d.net = net.Dialer{
		KeepAlive: keepAlive,
		Control:   d.control, Resolver: resolver(s.Networking.DNSCache.Resolver),
	}
	return d
}

type connectKey struct{}

// withConnect has a dial under the context take no longer than limit.
func withConnect(ctx context.Context, limit time.Duration) context.Context {
	if limit <= 0 {
		return ctx
	}
	return context.WithValue(ctx, connectKey{}, limit)
}

// DialContext connects to address, or to where resolve sends it, for a transport.
func (d *dialer) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	limit, _ := ctx.Value(connectKey{}).(time.Duration)
	return d.dial(ctx, address, limit)
}

// dial connects to address, or to where resolve sends it, within a limit; 0 is the
// default.
func (d *dialer) dial(ctx context.Context, address string, limit time.Duration) (net.Conn, error) {
	if elsewhere, ok := d.resolve[strings.ToLower(address)]; ok {
		address = elsewhere
	}
	if limit <= 0 {
		limit = dialTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return d.net.DialContext(ctx, "tcp", address)
}

// control sees the address after names have been resolved, so that no name leads
// where no address may. U7
func (d *dialer) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if ip := plain(at.Addr()); forbidden(ip) || d.isOwn(ip, at.Port()) {
		return ErrForbidden
	}
	return nil
}

// permitsHost tells early what would never be dialled, where the host is an address.
func (d *dialer) permitsHost(host string) error {
	if ip, err := netip.ParseAddr(host); err == nil && forbidden(plain(ip)) {
		return ErrForbidden
	}
	return nil
}

func plain(ip netip.Addr) netip.Addr { return ip.Unmap().WithZone("") }

func forbidden(ip netip.Addr) bool { return ip.IsLinkLocalUnicast() || ip.IsMulticast() }

// isOwn tells whether the gateway itself would answer.
func (d *dialer) isOwn(ip netip.Addr, port uint16) bool {
	if d.own == nil {
		return false
	}
	for _, own := range d.own() {
		if own.Port() != port {
			continue
		}
		if at := plain(own.Addr()); at == ip || (at.IsUnspecified() || ip.IsUnspecified()) && isLocal(ip) {
			return true
		}
	}
	return false
}

// isLocal tells whether the address is one of this host.
func isLocal(ip netip.Addr) bool {
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	list, err := net.InterfaceAddrs()
	if err != nil {
		return true // better refused than a request that goes in circles
	}
	return slices.ContainsFunc(list, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && plain(prefix.Addr()) == ip
	})
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
