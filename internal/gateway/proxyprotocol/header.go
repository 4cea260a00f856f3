// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxyprotocol

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// Version is the form of a header.
type Version int

// The versions: one line of text, and binary.
const (
	V1 Version = 1
	V2 Version = 2
)

// Header is what a peer says about a connection.
type Header struct {
	Version Version
	// Source is the client, Destination what it connected to. Both are invalid when
	// the peer speaks for itself or does not know them: then the addresses of the
	// connection count.
	Source, Destination netip.AddrPort
	// Local says that the connection is the peer's own, such as a health check.
	Local bool
}

// Known tells whether the header names a client.
func (h Header) Known() bool { return h.Source.IsValid() }

// The errors of Read. They are wrapped, with what is wrong.
var (
	// ErrMissing means that something else comes first. Nothing of it was consumed
	// if its first byte shows it.
	ErrMissing = errors.New("no PROXY protocol header")
	// ErrMalformed means that a header is broken, or larger than it may be.
	ErrMalformed = errors.New("malformed PROXY protocol header")
)

// Read takes a header off r, and not a byte more. The reader's buffer may be of
// any size. The caller sets the deadline.
func Read(r *bufio.Reader) (Header, error) {
	first, err := r.Peek(1)
	if err != nil {
		return Header{}, fmt.Errorf("reading the PROXY protocol header: %w", err)
	}
	switch first[0] {
	case prefixV1[0]:
		return readV1(r)
	case signatureV2[0]:
		return readV2(r)
	}
	return Header{}, fmt.Errorf("%w: the first byte is %#02x", ErrMissing, first[0])
}

// Append adds a header to b. A pair of two families is written as IPv6; when one
// of them is not valid, the header says that the addresses are not known.
func Append(b []byte, v Version, source, destination netip.AddrPort) []byte {
	known := source.IsValid() && destination.IsValid()
	source, destination = plain(source), plain(destination)
	if v == V1 {
		return appendV1(b, source, destination, known)
	}
	return appendV2(b, source, destination, known)
}

// plain makes IPv4 of IPv4 in IPv6 form, and drops zones, which mean nothing to
// another host.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// ended makes an error of a header that breaks off.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return malformed("the connection ends within it")
	}
	return fmt.Errorf("reading the PROXY protocol header: %w", err)
}
