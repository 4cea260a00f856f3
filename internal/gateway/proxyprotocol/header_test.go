// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxyprotocol

import (
	"bufio"
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
)

const behind = "GET / HTTP/1.1\r\n"

// v2 makes a binary header of its parts.
func v2(command, family byte, rest string) string {
	return signatureV2 + string([]byte{command, family, byte(len(rest) >> 8), byte(len(rest))}) + rest
}

const (
	four = "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb" // 192.0.2.1:56324 to 198.51.100.2:443
	six  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xdc\x04\x01\xbb"
	mapped = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc6\x33\x64\x02\xdc\x04\x01\xbb"
)

// checksummed is a header with a CRC-32C, made as the protocol says.
func checksummed(command, family byte, rest string) string {
	h := []byte(v2(command, family, rest+"\x03\x00\x04\x00\x00\x00\x00"))
	sum := crc32.Checksum(h, crc32.MakeTable(crc32.Castagnoli))
	return string(append(h[:len(h)-4], byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)))
}

var goodHeaders = []struct{ name, in, source, destination string }{
	{"version 1, IPv4", "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", "192.0.2.1:56324", "198.51.100.2:443"},
	{"version 1, IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", "[2001:db8::1]:1", "[2001:db8::2]:65535"},
	{"version 1, IPv4 in IPv6 form is IPv4", "PROXY TCP6 ::ffff:10.0.0.1 ::ffff:10.0.0.2 1 2\r\n", "10.0.0.1:1", "10.0.0.2:2"}, // P5
	{"version 1, unknown", "PROXY UNKNOWN\r\n", "", ""},
	{"version 1, unknown with words that must be ignored", "PROXY UNKNOWN ffff:f...f:ffff 1 what ever\r\n", "", ""},
	{"version 1, the longest line", "PROXY UNKNOWN " + strings.Repeat("x", maxV1-len("PROXY UNKNOWN \r\n")) + "\r\n", "", ""},
	{"version 2, IPv4", v2(0x21, 0x11, four), "192.0.2.1:56324", "198.51.100.2:443"},
	{"version 2, IPv6", v2(0x21, 0x21, six), "[2001:db8::1]:56324", "[2001:db8::2]:443"},
	{"version 2, IPv4 in IPv6 form is IPv4", v2(0x21, 0x21, mapped), "192.0.2.1:56324", "198.51.100.2:443"}, // P5
	{"version 2, the peer itself", v2(0x20, 0x00, ""), "", ""},
	{"version 2, the peer itself with addresses that must be ignored", v2(0x20, 0x11, four), "", ""},
	{"version 2, unknown family", v2(0x21, 0x00, ""), "", ""},
	{"version 2, a Unix socket", v2(0x21, 0x31, strings.Repeat("\x00", 216)), "", ""},
	{"version 2, extensions", v2(0x21, 0x11, four+"\x01\x00\x02h2\x02\x00\x01a\xea\x00\x00"), "192.0.2.1:56324", "198.51.100.2:443"},
	{"version 2, a checksum", checksummed(0x21, 0x11, four+"\x04\x00\x03\x00\x00\x00"), "192.0.2.1:56324", "198.51.100.2:443"},
	{"version 2, as long as it may be", v2(0x21, 0x11, four+"\x04\x0f\xf1"+strings.Repeat("\x00", maxV2-15)), "192.0.2.1:56324", "198.51.100.2:443"},
}

func TestAHeaderIsReadAndNothingBehindIt(t *testing.T) {
	t.Parallel()
	for _, c := range goodHeaders {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, source := range []io.Reader{strings.NewReader(c.in + behind), iotest.OneByteReader(strings.NewReader(c.in + behind))} {
				r := bufio.NewReaderSize(source, 16)
				h, err := Read(r)
				if err != nil {
					t.Fatal(err)
				}
				if h.Known() != (c.source != "") || h.Known() && (h.Source.String() != c.source || h.Destination.String() != c.destination) {
					t.Errorf("from %v to %v", h.Source, h.Destination)
				}
				if rest, _ := io.ReadAll(r); string(rest) != behind {
					t.Errorf("behind it is %q", rest)
				}
			}
		})
	}
}

var badHeaders = []struct {
	name, in string
	want     error
}{
	{"an HTTP request", behind, ErrMissing},
	{"another method that begins with P", "POST / HTTP/1.1\r\n", ErrMissing},
	{"a TLS greeting", "\x16\x03\x01\x02\x00", ErrMissing},
	{"a blank line", "\r\n\r\nGET / HTTP/1.1\r\n", ErrMissing},
	{"lower case", "proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n", ErrMissing},
	{"a bare line feed", "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n", ErrMalformed},
	{"a line that is one byte too long", "PROXY UNKNOWN " + strings.Repeat("x", maxV1+1-len("PROXY UNKNOWN \r\n")) + "\r\n", ErrMalformed},
	{"a line without end", "PROXY UNKNOWN " + strings.Repeat("x", 1<<20), ErrMalformed},
	{"no words", "PROXY \r\n", ErrMalformed},
	{"a word too few", "PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n", ErrMalformed},
	{"a word too many", "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n", ErrMalformed},
	{"two spaces", "PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n", ErrMalformed},
	{"another protocol", "PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n", ErrMalformed},
	{"a word that begins with unknown", "PROXY UNKNOWNS\r\n", ErrMalformed},
	{"an IPv6 address as IPv4", "PROXY TCP4 2001:db8::1 198.51.100.2 1 2\r\n", ErrMalformed},
	{"an IPv4 address as IPv6", "PROXY TCP6 192.0.2.1 2001:db8::2 1 2\r\n", ErrMalformed},
	{"a zone", "PROXY TCP6 fe80::1%eth0 2001:db8::2 1 2\r\n", ErrMalformed},
	{"an address with leading zeros", "PROXY TCP4 192.000.002.001 198.51.100.2 1 2\r\n", ErrMalformed},
	{"a name", "PROXY TCP4 localhost 198.51.100.2 1 2\r\n", ErrMalformed},
	{"a port with a leading zero", "PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n", ErrMalformed},
	{"a port with a sign", "PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n", ErrMalformed},
	{"a port that is too large", "PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n", ErrMalformed},
	{"a line that breaks off", "PROXY TCP4 192.0", ErrMalformed},
	{"a carriage return in the line", "PROXY TCP4 192.0.2.1\r198.51.100.2 1 2\r\n", ErrMalformed},
	{"another version of the binary form", v2(0x11, 0x11, four), ErrMalformed},
	{"another command", v2(0x22, 0x11, four), ErrMalformed},
	{"a family that does not exist", v2(0x21, 0x41, four), ErrMalformed},
	{"datagrams", v2(0x21, 0x12, four), ErrMalformed},
	{"addresses that are too short", v2(0x21, 0x21, four), ErrMalformed},
	{"an extension that is cut off", v2(0x21, 0x11, four+"\x04\x00"), ErrMalformed},
	{"an extension that is longer than the header", v2(0x21, 0x11, four+"\x04\x00\x05ab"), ErrMalformed},
	{"a wrong checksum", v2(0x21, 0x11, four+"\x03\x00\x04abcd"), ErrMalformed},
	{"a checksum of another size", v2(0x21, 0x11, four+"\x03\x00\x02ab"), ErrMalformed},
	{"more than may be", v2(0x21, 0x11, strings.Repeat("\x00", maxV2+1)), ErrMalformed},
	{"a binary header that breaks off", v2(0x21, 0x11, four)[:20], ErrMalformed},
	{"a signature that breaks off", signatureV2[:7], ErrMalformed},
}

func TestWhatIsNoHeaderIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range badHeaders {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if h, err := Read(bufio.NewReader(strings.NewReader(c.in))); !errors.Is(err, c.want) {
				t.Errorf("%+v, %v", h, err)
			}
		})
	}
}

// A connection that ends before its first byte is nobody's mistake.
func TestAnEndBeforeTheHeaderIsAnEnd(t *testing.T) {
	t.Parallel()
	if _, err := Read(bufio.NewReader(strings.NewReader(""))); !errors.Is(err, io.EOF) || errors.Is(err, ErrMalformed) {
		t.Errorf("%v", err)
	}
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ source, destination, wantSource, wantDestination string }{
		{"192.0.2.1:1", "198.51.100.2:65535", "192.0.2.1:1", "198.51.100.2:65535"},
		{"[2001:db8::1]:0", "[2001:db8::2]:443", "[2001:db8::1]:0", "[2001:db8::2]:443"},
		{"[::ffff:192.0.2.1]:1", "198.51.100.2:2", "192.0.2.1:1", "198.51.100.2:2"},
		{"[fe80::1%eth0]:1", "[fe80::2%eth0]:2", "[fe80::1]:1", "[fe80::2]:2"},
		{"192.0.2.1:1", "[2001:db8::2]:443", "192.0.2.1:1", "[2001:db8::2]:443"},
	} {
		for _, v := range []Version{V1, V2} {
			text := Append([]byte("before "), v, netip.MustParseAddrPort(c.source), netip.MustParseAddrPort(c.destination))
			rest, ok := bytes.CutPrefix(text, []byte("before "))
			h, err := Read(bufio.NewReader(bytes.NewReader(rest)))
			if !ok || err != nil || h.Version != v || h.Source.String() != c.wantSource || h.Destination.String() != c.wantDestination {
				t.Errorf("version %d, %s to %s: %q is %+v, %v", v, c.source, c.destination, text, h, err)
			}
		}
	}
	for _, v := range []Version{V1, V2} {
		h, err := Read(bufio.NewReader(bytes.NewReader(Append(nil, v, netip.AddrPort{}, netip.MustParseAddrPort("192.0.2.1:1")))))
		if err != nil || h.Known() || h.Version != v {
			t.Errorf("version %d, unknown: %+v, %v", v, h, err)
		}
	}
}

// A header of the peer's protocol is exactly what others expect.
func TestTheLineOfVersionOneIsAsInTheSpecification(t *testing.T) {
	t.Parallel()
	got := string(Append(nil, V1, netip.MustParseAddrPort("255.255.255.255:65535"), netip.MustParseAddrPort("255.255.255.255:65535")))
	if want := "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"; got != want {
		t.Errorf("%q instead of %q", got, want)
	}
	if got := string(Append(nil, V2, netip.MustParseAddrPort("192.0.2.1:56324"), netip.MustParseAddrPort("198.51.100.2:443"))); got != v2(0x21, 0x11, four) {
		t.Errorf("%q", got)
	}
}

// FuzzRead holds that no bytes make it panic or read too far, and that what it
// takes for a header can be written and read again. G6
func FuzzRead(f *testing.F) {
	for _, c := range goodHeaders {
		f.Add([]byte(c.in + behind))
	}
	for _, c := range badHeaders {
		f.Add([]byte(c.in[:min(len(c.in), 8<<10)]))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		b := bufio.NewReaderSize(r, 16)
		h, err := Read(b)
		consumed := len(in) - r.Len() - b.Buffered()
		if consumed > headV2+maxV2 || err == nil && h.Version == V1 && consumed > maxV1 {
			t.Errorf("%d bytes were consumed", consumed)
		}
		if err != nil {
			return
		}
		if h.Source.IsValid() != h.Destination.IsValid() || h.Local && h.Known() || h.Source.Addr().Is4In6() {
			t.Errorf("%+v", h)
		}
		again, err := Read(bufio.NewReader(bytes.NewReader(Append(nil, h.Version, h.Source, h.Destination))))
		again.Local = h.Local // which is not written
		if err != nil || again != h {
			t.Errorf("%+v became %+v, %v", h, again, err)
		}
	})
}
