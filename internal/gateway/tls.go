// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"os"
	"reflect"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
)

// tlsConfig is how the secure entry point speaks TLS under one set of settings.
// Another client authority makes another one; a session of before is resumed only
// if the client's chain holds under it too. A1
type tlsConfig struct {
	config   *tls.Config
	auth     *config.ClientAuth
	identity source.Identity
	files    []string
	problems []config.Problem
}

var errNoCertificates = errors.New("no certificates have been loaded yet")

// tls gives the configuration of a listener: it asks for the newest at each
// handshake, so that certificates and client authentication change live.
func (g *gateway) tls() *tls.Config {
	g.setClientAuth(&g.state.settings.file.Gateway)
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return g.tlsConfig.Load().config, nil
		},
	}
}

// setClientAuth makes another tlsConfig when the settings, or the file that they
// name, have changed.
func (g *gateway) setClientAuth(s *config.Gateway) {
	var auth *config.ClientAuth
	if s.TLS != nil && s.TLS.ClientAuth != nil && *s.TLS.ClientAuth != (config.ClientAuth{}) {
		auth = s.TLS.ClientAuth
	}
	next := &tlsConfig{auth: auth}
	if auth != nil && strings.HasPrefix(auth.ClientCA, "/") {
		next.files = []string{auth.ClientCA}
		next.identity = source.Identify(auth.ClientCA)
	}
	if last := g.tlsConfig.Load(); last != nil && reflect.DeepEqual(last.auth, auth) && last.identity == next.identity {
		return
	}
	next.config = &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			set := g.certificates.Load()
			if set == nil {
				return nil, errNoCertificates
			}
			return set.GetCertificate(h)
		},
	}
	next.requireClients()
	g.tlsConfig.Store(next)
}

// requireClients asks for client certificates. With an authority that cannot be
// read no client can prove anything: where a certificate is required every
// handshake fails, which is reported.
func (c *tlsConfig) requireClients() {
	if c.auth == nil {
		return
	}
	c.config.ClientAuth = tls.VerifyClientCertIfGiven
	if c.auth.Required {
		c.config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	c.config.ClientCAs = x509.NewCertPool()
	data, err := readPEM(c.auth.ClientCA)
	if err == nil && !c.config.ClientCAs.AppendCertsFromPEM(data) {
		err = errors.New("it holds no certificate")
	}
	if err == nil {
		return
	}
	reason := config.ReasonSecretInvalid
	if errors.Is(err, os.ErrNotExist) {
		reason = config.ReasonSecretNotFound
	}
	c.problems = []config.Problem{{
		Object: config.ObjectRef{Kind: "Gateway"}, Field: "gateway.tls.clientAuth.clientCA", Reason: reason,
		Message: "client certificates cannot be verified and are refused: " + err.Error(),
	}}
}

// readPEM gives what is a path, PEM text, or base64 of PEM text.
func readPEM(value string) ([]byte, error) {
	switch {
	case value == "":
		return nil, errors.New("it is empty; name a file")
	case strings.Contains(value, "-----BEGIN"):
		return []byte(value), nil
	case strings.HasPrefix(value, "/"):
		return os.ReadFile(value)
	}
	if data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value)); err == nil {
		return data, nil
	}
	return os.ReadFile(value)
}
