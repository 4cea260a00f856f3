// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
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
	names   *names
	turn    atomic.Uint64
}

func newDialer(s Settings) *dialer {
	d := &dialer{resolve: s.Resolve, own: s.Own}
	d.net = net.Dialer{KeepAlive: keepAlive, Control: d.control}
	d.names = newNames(resolver(s.Networking.DNSCache.Resolver), s.Networking.DNSCache.TTL)
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
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %q: %w", text, err)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return d.race(ctx, []netip.Addr{ip}, uint16(port))
	}
	return d.byName(ctx, strings.ToLower(host), uint16(port))
}

// byName connects to one of the addresses of a name. When none of those that are
// known works, they may be those of before, and are looked up anew. U6
func (d *dialer) byName(ctx context.Context, host string, port uint16) (net.Conn, error) {
	known, err := d.names.of(ctx, host)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	turn := d.turn.Add(1)
	conn, err := d.race(ctx, order(known, turn), port)
	if err == nil || errors.Is(err, ErrForbidden) {
		return conn, err
	}
	if ctx.Err() != nil {
		d.names.suspect(host)
		return nil, err
	}
	now, lookup := d.names.again(ctx, host)
	if lookup != nil || sameAddresses(known, now) {
		return nil, err
	}
	return d.race(ctx, order(now, turn), port)
}

// follow tells of new addresses of a backend, unless it is dialled elsewhere.
func (d *dialer) follow(address string, changed func([]netip.Addr)) *follower {
	host, _, err := net.SplitHostPort(address)
	if _, elsewhere := d.resolve[strings.ToLower(address)]; err != nil || elsewhere {
		return nil
	}
	return d.names.follow(strings.ToLower(host), changed)
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
