// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"crypto/tls"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// tlsVersions are those that may be the lowest. Older ones are broken.
var tlsVersions = map[string]uint16{"": tls.VersionTLS12, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// tlsCurves are the key exchanges by their names, in lower case without dashes.
var tlsCurves = map[string]tls.CurveID{
	"x25519mlkem768": tls.X25519MLKEM768, "x25519": tls.X25519,
	"p256": tls.CurveP256, "p384": tls.CurveP384, "p521": tls.CurveP521,
}

// Version is the lowest version that clients may speak.
func (t *TLS) Version() uint16 {
	if t == nil {
		return tls.VersionTLS12
	}
	if v, ok := tlsVersions[t.MinVersion]; ok {
		return v
	}
	return tls.VersionTLS13 // it was refused at load; nothing lower is meant
}

// Suites are the cipher suites of TLS 1.2; nil for the default ones.
func (t *TLS) Suites() (list []uint16) {
	if t == nil {
		return nil
	}
	for _, s := range tls.CipherSuites() {
		if slices.ContainsFunc(t.CipherSuites, func(name string) bool { return strings.EqualFold(name, s.Name) }) {
			list = append(list, s.ID)
		}
	}
	return list
}

// Exchanges are the key exchanges in the order of preference; nil for the default ones.
func (t *TLS) Exchanges() (list []tls.CurveID) {
	if t == nil {
		return nil
	}
	for _, name := range t.Curves {
		if c, ok := tlsCurves[curveName(name)]; ok {
			list = append(list, c)
		}
	}
	return list
}

func curveName(name string) string { return strings.ReplaceAll(strings.ToLower(name), "-", "") }

// handshake checks how TLS is spoken.
func (f *findings) handshake(t *TLS) {
	if _, ok := tlsVersions[t.MinVersion]; !ok {
		f.invalid("gateway.tls.minVersion", "is %q; use 1.2 or 1.3", t.MinVersion)
	}
	for i, name := range t.CipherSuites {
		if len((&TLS{CipherSuites: []string{name}}).Suites()) == 0 {
			f.invalid(fmt.Sprintf("gateway.tls.cipherSuites[%d]", i), "is %q, which is no cipher suite that is secure and supported", name)
		}
	}
	for i, name := range t.Curves {
		if _, ok := tlsCurves[curveName(name)]; !ok {
			f.invalid(fmt.Sprintf("gateway.tls.curves[%d]", i), "is %q; use one of %s", name, strings.Join(slices.Sorted(maps.Keys(tlsCurves)), ", "))
		}
	}
}

// ownHeader tells whether a name is one of a header that means nothing else.
func ownHeader(name string) bool {
	for _, c := range []byte(name) {
		if c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	taken := []string{
		"authorization", "connection", "content-length", "content-type", "cookie", "expect", "host", "keep-alive", "te", "trailer",
		"transfer-encoding", "upgrade", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip",
	}
	return !slices.Contains(taken, strings.ToLower(name))
}
