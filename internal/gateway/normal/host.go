// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package normal

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// ErrHost refuses a host that is neither a name nor an address.
var ErrHost = errors.New("the host is neither a valid name nor an address")

const (
	maxNameBytes  = 253
	maxLabelBytes = 63
)

// Host gives the one spelling of a host as it stands in a Host header: lower
// case, without a trailing dot, names in other scripts as punycode, IPv6
// addresses in brackets and in their shortest form. The port stays when there is
// one, as a plain number. Applied to its own result it changes nothing.
func Host(host string) (string, error) {
	name, port, err := split(host)
	if err != nil {
		return "", err
	}
	if name, err = canonicalName(name); err != nil {
		return "", err
	}
	if port == 0 {
		return name, nil
	}
	return name + ":" + strconv.Itoa(int(port)), nil
}

// SplitPort parts a host in normal form from its port, which is 0 when it has none.
func SplitPort(host string) (name string, port uint16) {
	name, port, err := split(host)
	if err != nil {
		return host, 0
	}
	return name, port
}

// split parts host and port. An empty port is none.
func split(host string) (name string, port uint16, err error) {
	i := strings.LastIndexByte(host, ':')
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 || end+1 < len(host) && host[end+1] != ':' {
			return "", 0, ErrHost
		}
		if i < end {
			i = -1
		}
	}
	if i < 0 {
		return host, 0, nil
	}
	name, digits := host[:i], host[i+1:]
	if digits == "" {
		return name, 0, nil
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 {
		return "", 0, ErrHost
	}
	return name, uint16(n), nil
}

func canonicalName(name string) (string, error) {
	if strings.HasPrefix(name, "[") {
		return canonicalIPv6(name)
	}
	name = strings.TrimSuffix(name, ".")
	if !ascii(name) {
		if !utf8.ValidString(name) {
			return "", ErrHost
		}
		var err error
		if name, err = idna.Lookup.ToASCII(name); err != nil {
			return "", ErrHost
		}
	}
	if !validName(name) {
		return "", ErrHost
	}
	return lower(name), nil
}

func canonicalIPv6(name string) (string, error) {
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"))
	if err != nil || !addr.Is6() || addr.Zone() != "" {
		return "", ErrHost
	}
	return "[" + addr.String() + "]", nil
}

// validName checks length and characters. Underscores are no host names by the
// book, and are in use.
func validName(name string) bool {
	if name == "" || len(name) > maxNameBytes {
		return false
	}
	label := 0
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c == '.':
			if label == 0 {
				return false
			}
			label = 0
			continue
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
		if label++; label > maxLabelBytes {
			return false
		}
	}
	return label > 0
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// lower makes no copy of a name that is in lower case already.
func lower(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return strings.ToLower(s)
		}
	}
	return s
}
