// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"net/netip"
	"testing"
)

func TestConnectionsAreBoundedInAllAndForEachClient(t *testing.T) { // H9
	t.Parallel()
	c := NewConns(4, 2)
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for i, x := range []struct {
		from netip.Addr
		want Verdict
	}{{a, Admitted}, {a, Admitted}, {a, TooManyOfClient}, {b, Admitted}, {netip.Addr{}, Admitted}, {b, TooMany}, {netip.Addr{}, TooMany}} {
		if got := c.Enter(x.from); got != x.want {
			t.Errorf("%d: %v, want %v", i, got, x.want)
		}
	}
	if c.Name(a) {
		t.Error("a client got one more by a name that came later")
	}
	c.Leave(a)
	if got := c.Enter(a); got != Admitted {
		t.Errorf("a place that is free again: %v", got)
	}
	for _, x := range []netip.Addr{a, a, b, {}} {
		c.Leave(x)
	}
	if open, clients := c.Open(); open != 0 || clients != 0 {
		t.Errorf("%d connections of %d clients are left", open, clients)
	}
}

func TestAClientIsANetworkOfIPv6(t *testing.T) { // H9
	t.Parallel()
	for _, x := range [][2]string{
		{"2001:db8::1", "2001:db8::"}, {"2001:db8::ffff:1", "2001:db8::"}, {"2001:db8:0:1::1", "2001:db8:0:1::"},
		{"::ffff:192.0.2.1", "192.0.2.1"}, {"192.0.2.1", "192.0.2.1"}, {"fe80::1%eth0", "fe80::"},
	} {
		if got := Client(netip.MustParseAddr(x[0])); got.String() != x[1] {
			t.Errorf("%s is %s", x[0], got)
		}
	}
}

func TestDefaultBounds(t *testing.T) {
	t.Parallel()
	most, each := DefaultConns(0, 0)
	if most < 16 || most > defaultConns || each < 1 || each > most {
		t.Errorf("%d, %d", most, each)
	}
	if most, each = DefaultConns(100, 0); most != 100 || each != 25 {
		t.Errorf("%d, %d", most, each)
	}
	if most, each = DefaultConns(100, 1000); most != 100 || each != 100 {
		t.Errorf("%d, %d", most, each)
	}
}
