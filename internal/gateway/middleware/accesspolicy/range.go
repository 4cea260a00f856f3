// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package accesspolicy

import (
	"fmt"
	"net/netip"
	"strings"
)

// parseRange reads an address, a CIDR block or "first-last", and gives the CIDR
// blocks that cover exactly it. Host bits of a block are masked.
func parseRange(text string) ([]netip.Prefix, error) {
	text = strings.TrimSpace(text)
	if first, last, ok := strings.Cut(text, "-"); ok {
		return parseSpan(text, strings.TrimSpace(first), strings.TrimSpace(last))
	}
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a CIDR block; write it like 10.0.0.0/8", text)
		}
		return []netip.Prefix{unmap(p)}, nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return nil, fmt.Errorf("%q is not an address, a CIDR block or a range first-last", text)
	}
	a = a.Unmap()
	return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}, nil
}

func unmap(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

func parseSpan(text, from, to string) ([]netip.Prefix, error) {
	first, err1 := netip.ParseAddr(from)
	last, err2 := netip.ParseAddr(to)
	first, last = first.Unmap(), last.Unmap()
	switch {
	case err1 != nil || err2 != nil || first.Zone() != "" || last.Zone() != "":
		return nil, fmt.Errorf("%q is not a range; write it like 10.0.0.5-10.0.1.20", text)
	case first.BitLen() != last.BitLen():
		return nil, fmt.Errorf("%q mixes IPv4 and IPv6", text)
	case last.Less(first):
		return nil, fmt.Errorf("%q ends before it begins", text)
	}
	return cover(first, last), nil
}

// cover splits a range into the fewest blocks: again and again the largest block
// that starts at first and does not pass last.
func cover(first, last netip.Addr) []netip.Prefix {
	var blocks []netip.Prefix
	for {
		block := netip.PrefixFrom(first, first.BitLen())
		for block.Bits() > 0 {
			wider := netip.PrefixFrom(first, block.Bits()-1)
			if wider.Masked().Addr() != first || last.Less(end(wider)) {
				break
			}
			block = wider
		}
		blocks = append(blocks, block)
		if first = end(block).Next(); !first.IsValid() || last.Less(first) {
			return blocks
		}
	}
}

// end is the last address of a block.
func end(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(bytes)
	return a
}
