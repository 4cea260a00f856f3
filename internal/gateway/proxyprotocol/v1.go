// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxyprotocol

import (
	"bufio"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

const (
	prefixV1 = "PROXY "
	// maxV1 is the longest line there can be, with its end.
	maxV1 = 107
)

// readV1 reads a line such as PROXY TCP4 192.0.2.1 198.51.100.1 56324 443.
func readV1(r *bufio.Reader) (Header, error) {
	line, err := readLine(r)
	if err != nil {
		return Header{}, err
	}
	h := Header{Version: V1}
	rest := line[len(prefixV1):]
	if rest == "UNKNOWN" || strings.HasPrefix(rest, "UNKNOWN ") {
		return h, nil // what follows must be ignored
	}
	fields := strings.Split(rest, " ")
	if len(fields) != 5 {
		return Header{}, malformed("%d words behind PROXY instead of 5", len(fields))
	}
	var is func(netip.Addr) bool
	switch fields[0] {
	case "TCP4":
		is = netip.Addr.Is4
	case "TCP6":
		is = netip.Addr.Is6
	default:
		return Header{}, malformed("protocol %s is not TCP4, TCP6 or UNKNOWN", strconv.QuoteToASCII(fields[0]))
	}
	if h.Source, err = endpoint(fields[1], fields[3], is); err != nil {
		return Header{}, err
	}
	if h.Destination, err = endpoint(fields[2], fields[4], is); err != nil {
		return Header{}, err
	}
	return h, nil
}

// readLine reads up to the end of the line. What cannot become a header is
// noticed at its first wrong byte.
func readLine(r *bufio.Reader) (string, error) {
	var line [maxV1]byte
	for n := range line {
		b, err := r.ReadByte()
		if err != nil {
			return "", ended(err)
		}
		line[n] = b
		switch {
		case n < len(prefixV1) && b != prefixV1[n]:
			return "", fmt.Errorf("%w: it begins with %q", ErrMissing, line[:n+1])
		case b == '\n' && line[n-1] != '\r':
			return "", malformed("the line ends without a carriage return")
		case b == '\n':
			return string(line[:n-1]), nil
		}
	}
	return "", malformed("the line is longer than %d bytes", maxV1)
}

func endpoint(address, port string, is func(netip.Addr) bool) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(address)
	if err != nil || !is(a) || a.Zone() != "" {
		return netip.AddrPort{}, malformed("%s is not an address of the protocol", strconv.QuoteToASCII(address))
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || len(port) > 1 && port[0] == '0' || port[0] == '+' {
		return netip.AddrPort{}, malformed("%s is not a port", strconv.QuoteToASCII(port))
	}
	return plain(netip.AddrPortFrom(a, uint16(n))), nil
}

func appendV1(b []byte, source, destination netip.AddrPort, known bool) []byte {
	b = append(b, prefixV1...)
	if !known {
		return append(b, "UNKNOWN\r\n"...)
	}
	protocol, address := "TCP6 ", sixteen
	if source.Addr().Is4() && destination.Addr().Is4() {
		protocol, address = "TCP4 ", same
	}
	b = append(b, protocol...)
	b = append(address(source.Addr()).AppendTo(b), ' ')
	b = append(address(destination.Addr()).AppendTo(b), ' ')
	b = append(strconv.AppendUint(b, uint64(source.Port()), 10), ' ')
	b = strconv.AppendUint(b, uint64(destination.Port()), 10)
	return append(b, '\r', '\n')
}

func same(a netip.Addr) netip.Addr { return a }

// sixteen gives an address in its IPv6 form.
func sixteen(a netip.Addr) netip.Addr { return netip.AddrFrom16(a.As16()) }
