// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Schemes are the ways to speak to a backend: plain and TLS, HTTP/2 without TLS
// (h2c, grpc), and the spellings for WebSocket, which is HTTP to the gateway.
var Schemes = []string{"http", "https", "h2c", "grpc", "grpcs", "ws", "wss"}

// ParseEndpoint reads a backend's address: an absolute URL with scheme and host,
// without user, query or fragment. The error says how to write it, and does not
// repeat a password.
func ParseEndpoint(endpoint string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("is not a URL; write it like http://host:8080")
	}
	switch {
	case !slices.Contains(Schemes, u.Scheme):
		return nil, fmt.Errorf("needs one of the schemes %s, like http://host:8080", strings.Join(Schemes, ", "))
	case u.Hostname() == "":
		return nil, fmt.Errorf("has no host; write it like http://host:8080")
	case u.User != nil:
		return nil, fmt.Errorf("must not hold a user or password; set the header with a middleware")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return nil, fmt.Errorf("must not have a query or fragment")
	case !validHostname(u.Hostname()):
		return nil, fmt.Errorf("has an invalid host %q", u.Hostname())
	case !validPort(u.Port()):
		return nil, fmt.Errorf("has an invalid port %q; ports are 1 to 65535", u.Port())
	}
	return u, nil
}

// validPort takes an absent port too: the scheme has a default.
func validPort(port string) bool {
	if port == "" {
		return true
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= 1 && n <= 65535
}

// hostLabel takes the underscore beside RFC 1123, as container names have it.
var hostLabel = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)

func validHostname(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	host = strings.TrimSuffix(host, ".")
	if host == "" || len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if !hostLabel.MatchString(label) {
			return false
		}
	}
	return true
}

// placeholder is the first label of a host pattern that stands for labels.
var placeholder = regexp.MustCompile(`^\{[A-Za-z_][A-Za-z0-9_]*(\.\.\.)?\}$`)

// validHostPattern takes the forms of a route's host: a name, an address, each
// with or without a port, *.name, {sub}.name, {sub...}.name, {host...} and *.
func validHostPattern(pattern string) bool {
	host := pattern
	if h, port, err := net.SplitHostPort(pattern); err == nil {
		if port == "" || !validPort(port) {
			return false
		}
		host = h
	}
	if host == "*" {
		return true
	}
	first, rest, more := cutLabel(host)
	if first != "*" && !placeholder.MatchString(first) {
		return validHostname(strings.Trim(host, "[]"))
	}
	if !more {
		return strings.HasSuffix(first, "...}")
	}
	return validHostname(rest)
}

// cutLabel cuts at the first dot that is not part of a placeholder.
func cutLabel(host string) (first, rest string, more bool) {
	if end := strings.IndexByte(host, '}'); strings.HasPrefix(host, "{") && end > 0 {
		rest, more = strings.CutPrefix(host[end+1:], ".")
		if !more && rest != "" {
			return host, "", false
		}
		return host[:end+1], rest, more
	}
	return strings.Cut(host, ".")
}
