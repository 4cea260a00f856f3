// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// attemptDelay is when the next address is tried beside one that does not answer
// (RFC 8305 §8).
const attemptDelay = 250 * time.Millisecond

// order gives all addresses, beginning with another one each time, so that all get
// their share, and with the families in turn, so that one that leads nowhere does
// not hold the other up (RFC 8305 §4).
func order(addresses []netip.Addr, turn uint64) []netip.Addr {
	var families [2][]netip.Addr // the first is that of the first address
	for _, ip := range addresses {
		k := 0
		if ip.Is4() != addresses[0].Is4() {
			k = 1
		}
		families[k] = append(families[k], ip)
	}
	out := make([]netip.Addr, 0, len(addresses))
	for i := range addresses {
		for _, f := range families {
			if i < len(f) {
				out = append(out, f[(uint64(i)+turn)%uint64(len(f))])
			}
		}
	}
	return out
}

// attempt is the outcome of dialling one address.
type attempt struct {
	conn net.Conn
	err  error
}

// race dials addresses one after the other, each a moment after the one before or
// when that has failed, and gives the first connection.
func (d *dialer) race(ctx context.Context, addresses []netip.Addr, port uint16) (net.Conn, error) {
	if len(addresses) == 1 {
		return d.net.DialContext(ctx, "tcp", netip.AddrPortFrom(addresses[0], port).String())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends those that have lost
	outcomes := make(chan attempt)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var first error
	for next, running := 0, 0; ; {
		select {
		case <-timer.C:
			if next < len(addresses) {
				go d.try(ctx, netip.AddrPortFrom(addresses[next], port), outcomes)
				next, running = next+1, running+1
				timer.Reset(attemptDelay)
			}
		case a := <-outcomes:
			if a.err == nil {
				return a.conn, nil
			}
			if first == nil {
				first = a.err
			}
			if running--; running == 0 && next == len(addresses) {
				return nil, first
			}
			timer.Reset(0)
		case <-ctx.Done():
			if first != nil {
				return nil, first
			}
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: context.Cause(ctx)}
		}
	}
}

// try dials one address. A connection that nobody waits for any more is closed.
func (d *dialer) try(ctx context.Context, to netip.AddrPort, outcomes chan<- attempt) {
	conn, err := d.net.DialContext(ctx, "tcp", to.String())
	select {
	case outcomes <- attempt{conn, err}:
	case <-ctx.Done():
		if conn != nil {
			_ = conn.Close()
		}
	}
}
