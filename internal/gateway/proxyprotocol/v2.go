// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxyprotocol

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net/netip"
)

const (
	signatureV2 = "\r\n\r\n\x00\r\nQUIT\n"
	// headV2 is the length of what every header begins with: the signature, version
	// and command, family and transport, and the length of the rest.
	headV2 = len(signatureV2) + 4
	// maxV2 bounds the rest. Addresses take 36 bytes at most; what cloud providers
	// and TLS terminators add to them is some hundreds.
	maxV2 = 4096

	commandLocal = 0x20
	commandProxy = 0x21

	familyUnknown = 0x00
	familyTCP4    = 0x11
	familyTCP6    = 0x21
	familyUnix    = 0x31

	sizeTCP4 = 2*4 + 2*2
	sizeTCP6 = 2*16 + 2*2
	sizeUnix = 2 * 108 // two paths

	typeChecksum = 0x03
)

func readV2(r *bufio.Reader) (Header, error) {
	var head [headV2]byte
	if err := readSignature(r, head[:len(signatureV2)]); err != nil {
		return Header{}, err
	}
	if _, err := io.ReadFull(r, head[len(signatureV2):]); err != nil {
		return Header{}, ended(err)
	}
	command, family := head[12], head[13]
	size := int(binary.BigEndian.Uint16(head[14:]))
	if command != commandLocal && command != commandProxy {
		return Header{}, malformed("version and command are %#02x", command)
	}
	if size > maxV2 {
		return Header{}, malformed("%d bytes are more than %d", size, maxV2)
	}
	rest := make([]byte, size)
	if _, err := io.ReadFull(r, rest); err != nil {
		return Header{}, ended(err)
	}
	if command == commandLocal { // the rest must be ignored, whatever it is
		return Header{Version: V2, Local: true}, nil
	}
	h, extensions, err := addresses(family, rest)
	if err != nil {
		return Header{}, err
	}
	return h, checkExtensions(head[:], rest, extensions)
}

// readSignature reads the beginning and stops at its first wrong byte.
func readSignature(r *bufio.Reader, into []byte) error {
	for i := range into {
		b, err := r.ReadByte()
		if err != nil {
			return ended(err)
		}
		if into[i] = b; b != signatureV2[i] {
			return fmt.Errorf("%w: it begins with %q", ErrMissing, into[:i+1])
		}
	}
	return nil
}

// addresses takes the addresses off the rest; behind them are extensions.
func addresses(family byte, rest []byte) (h Header, extensions []byte, err error) {
	h.Version = V2
	size := map[byte]int{familyUnknown: 0, familyTCP4: sizeTCP4, familyTCP6: sizeTCP6, familyUnix: sizeUnix}
	n, ok := size[family]
	if !ok {
		return Header{}, nil, malformed("family and transport %#02x are not of a TCP connection", family)
	}
	if len(rest) < n {
		return Header{}, nil, malformed("%d bytes are too few for addresses of family %#02x", len(rest), family)
	}
	switch family {
	case familyTCP4:
		h.Source = pair(rest[0:4], rest[8:10])
		h.Destination = pair(rest[4:8], rest[10:12])
	case familyTCP6:
		h.Source = pair(rest[0:16], rest[32:34])
		h.Destination = pair(rest[16:32], rest[34:36])
	}
	return h, rest[n:], nil
}

func pair(address, port []byte) netip.AddrPort {
	a, _ := netip.AddrFromSlice(address) // its length is right
	return plain(netip.AddrPortFrom(a, binary.BigEndian.Uint16(port)))
}

// checkExtensions goes over type, length and value of each, and verifies the
// checksum if there is one.
func checkExtensions(head, rest, extensions []byte) error {
	for b := extensions; len(b) > 0; {
		if len(b) < 3 {
			return malformed("an extension is cut off")
		}
		size := 3 + int(binary.BigEndian.Uint16(b[1:3]))
		if size > len(b) {
			return malformed("extension %#02x is longer than the header", b[0])
		}
		if b[0] == typeChecksum {
			if err := verify(head, rest, b[3:size]); err != nil {
				return err
			}
		}
		b = b[size:]
	}
	return nil
}

// verify compares the checksum, which was made with zeros in its place. value is
// a part of rest.
func verify(head, rest, value []byte) error {
	if len(value) != 4 {
		return malformed("a checksum has %d bytes", len(value))
	}
	want := bytes.Clone(value)
	castagnoli := crc32.MakeTable(crc32.Castagnoli) // all share one
	clear(value)
	sum := crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, rest)
	copy(value, want)
	if sum != binary.BigEndian.Uint32(want) {
		return malformed("the checksum is wrong")
	}
	return nil
}

func appendV2(b []byte, source, destination netip.AddrPort, known bool) []byte {
	b = append(b, signatureV2...)
	b = append(b, commandProxy)
	if !known {
		return append(b, familyUnknown, 0, 0)
	}
	if source.Addr().Is4() && destination.Addr().Is4() {
		b = append(b, familyTCP4, 0, sizeTCP4)
		s, d := source.Addr().As4(), destination.Addr().As4()
		b = append(append(b, s[:]...), d[:]...)
	} else {
		b = append(b, familyTCP6, 0, sizeTCP6)
		s, d := source.Addr().As16(), destination.Addr().As16()
		b = append(append(b, s[:]...), d[:]...)
	}
	b = binary.BigEndian.AppendUint16(b, source.Port())
	return binary.BigEndian.AppendUint16(b, destination.Port())
}
