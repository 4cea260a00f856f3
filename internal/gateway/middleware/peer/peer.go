// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package peer is how a middleware reaches a server that it asks: a directory, an
// authentication service, an identity provider. It decides whom to trust, and
// gives HTTP clients that never follow a redirect by themselves, never wait for
// ever and never read without end.
package peer

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
)

// Trust says which certificates a server may show. It is comparable, to be part of
// the key of shared state. The zero value trusts what the system trusts.
type Trust struct {
	// Roots are the authorities to trust in place of those of the system, as PEM
	// text or base64 of it.
	Roots string
	// Any accepts every certificate.
	Any bool
}

var errNoAuthority = errors.New("must hold a certificate in PEM, or base64 of it")

// Config gives TLS settings. It fails on roots that hold no certificate.
func (t Trust) Config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.Any} //nolint:gosec // a documented setting
	if t.Roots == "" {
		return c, nil
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(text(t.Roots)) {
		return nil, errNoAuthority
	}
	return c, nil
}

// text gives PEM text. A path is none: a rule must not read files. T8
func text(value string) []byte {
	if data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value)); err == nil {
		if block, _ := pem.Decode(data); block != nil {
			return data
		}
	}
	return []byte(value)
}
