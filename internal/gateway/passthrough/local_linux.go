// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package passthrough

import (
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// controlSize is enough for the control message of one datagram.
const controlSize = 64

// askLocal makes a socket that listens on all addresses tell to which of them each
// datagram was sent. On a host with several the answer has to leave by the same
// one, or the client does not know it for an answer. Where it cannot be told the
// kernel chooses.
func askLocal(conn *net.UDPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		// One of them is of another family than the socket, and fails.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	})
}

// localOf finds the address in the control messages of a datagram. It is not valid
// when there is none that an answer could come from.
func localOf(control []byte) (a netip.Addr) {
	for len(control) > 0 {
		head, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return netip.Addr{}
		}
		switch {
		case head.Level == unix.IPPROTO_IPV6 && head.Type == unix.IPV6_PKTINFO && len(data) >= 16:
			a = netip.AddrFrom16([16]byte(data))
		case head.Level == unix.IPPROTO_IP && head.Type == unix.IP_PKTINFO && len(data) >= 8 && !a.IsValid():
			a = netip.AddrFrom4([4]byte(data[4:]))
		}
		control = rest
	}
	if plain := a.Unmap(); plain.IsMulticast() || plain == broadcast {
		return netip.Addr{}
	}
	return a
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// controlFor makes answers come from an address that localOf gave.
func controlFor(a netip.Addr) []byte {
	switch {
	case !a.IsValid():
		return nil
	case a.Is4():
		return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: a.As4()})
	default: // of a socket for both families, IPv4 is in its IPv6 form
		return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: a.As16()})
	}
}
