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
	"slices"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/certs"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
)

// tlsConfig is how the secure entry point speaks TLS under one set of settings.
// Another client authority makes another one; a session of before is resumed only
// if the client's chain holds under it too. A1
type tlsConfig struct {
	config   *tls.Config
	auth     *config.ClientAuth
	speech   speech
	identity source.Identity
	files    []string
	problems []config.Problem
}

// speech is what a handshake may be like.
type speech struct {
	min     uint16
	suites  []uint16
	curves  []tls.CurveID
	tickets bool
}

func speechOf(t *config.TLS) speech {
	return speech{min: t.Version(), suites: t.Suites(), curves: t.Exchanges(), tickets: t == nil || t.SessionTickets == nil || *t.SessionTickets}
}

var errNoCertificates = errors.New("no certificates have been loaded yet")

// tls gives the configuration of a listener: it asks for the newest at each
// handshake, so that certificates and client authentication change live.
func (g *gateway) tls() *tls.Config {
	g.setClientAuth(&g.state.settings.file.Gateway)
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			if c, err := g.obtained.Challenged(h); c != nil || err != nil {
				return c, err
			}
			return g.configFor(h.ServerName), nil
		},
	}
}

// configFor gives how a handshake for a host is spoken. Where no client is asked for a
// certificate anyway, one may be asked for what a route of the host needs; the route
// looks at it. A session of before would not be asked again, so there are none.
func (g *gateway) configFor(name string) *tls.Config {
	c := g.tlsConfig.Load()
	s := g.live.Current()
	if c.auth != nil || s == nil {
		return c.config
	}
	pool := s.ClientAuthorities(name)
	if pool == nil {
		return c.config
	}
	own := c.config.Clone()
	own.ClientAuth, own.ClientCAs, own.SessionTicketsDisabled = tls.VerifyClientCertIfGiven, pool, true
	return own
}

// setClientAuth makes another tlsConfig when the settings, or the file that they
// name, have changed. It is called by one goroutine at a time.
func (g *gateway) setClientAuth(s *config.Gateway) {
	var auth *config.ClientAuth
	if s.TLS != nil && s.TLS.ClientAuth != nil && *s.TLS.ClientAuth != (config.ClientAuth{}) {
		auth = s.TLS.ClientAuth
	}
	name := ""
	if auth != nil {
		name = auth.IdentityHeader
	}
	g.setIdentityHeader(name)
	next := &tlsConfig{auth: auth, speech: speechOf(s.TLS)}
	if auth != nil && strings.HasPrefix(auth.ClientCA, "/") {
		next.files = []string{auth.ClientCA}
		next.identity = source.Identify(auth.ClientCA)
	}
	last := g.tlsConfig.Load()
	if last != nil && reflect.DeepEqual(last.auth, auth) && reflect.DeepEqual(last.speech, next.speech) && last.identity == next.identity {
		return
	}
	next.config = &tls.Config{
		MinVersion: next.speech.min, CipherSuites: next.speech.suites, CurvePreferences: next.speech.curves,
		SessionTicketsDisabled: !next.speech.tickets,
		NextProtos:             []string{"h2", "http/1.1"},
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			set := g.certificates.Load()
			if set == nil {
				return nil, errNoCertificates
			}
			return g.staples.With(g.certificateFor(h, set)), nil
		},
	}
	next.requireClients()
	g.tlsMu.Lock()
	defer g.tlsMu.Unlock()
	if g.ticketKeys != nil {
		next.config.SetSessionTicketKeys(g.ticketKeys)
	}
	g.tlsConfig.Store(next)
}

// setTicketKeys makes and takes session tickets with keys that all replicas have.
func (g *gateway) setTicketKeys(keys [][32]byte) {
	g.tlsMu.Lock()
	defer g.tlsMu.Unlock()
	g.ticketKeys = keys
	if c := g.tlsConfig.Load(); c != nil {
		c.config.SetSessionTicketKeys(keys)
	}
}

// certificateFor chooses: what somebody brought for a name, else what was obtained for
// it, else the default.
func (g *gateway) certificateFor(h *tls.ClientHelloInfo, set *certs.Set) *tls.Certificate {
	if c := set.Find(h); c != nil {
		return c
	}
	if c := g.obtained.Find(h); c != nil {
		return c
	}
	return set.Default()
}

// authorised tells whether a connection for one name may carry a request for another
// host: the certificate that was served covers that too, or there is none that would.
// A client without a name, such as one that has only an address, has been served the
// default. G4
func (g *gateway) authorised(name, host string) bool {
	set := g.certificates.Load()
	if set == nil {
		return true
	}
	host, _ = normal.SplitPort(host)
	if name == "" || strings.EqualFold(strings.TrimSuffix(name, "."), host) || len(g.certificatesFor(host, set)) == 0 {
		return true
	}
	served := g.certificatesFor(name, set)
	if len(served) == 0 {
		served = []*tls.Certificate{set.Default()}
	}
	return slices.ContainsFunc(served, func(c *tls.Certificate) bool { return c.Leaf.VerifyHostname(host) == nil })
}

// certificatesFor gives those of which certificateFor chooses, without the default.
func (g *gateway) certificatesFor(name string, set *certs.Set) []*tls.Certificate {
	if list := set.Named(name); len(list) > 0 {
		return list
	}
	if c := g.obtained.Find(&tls.ClientHelloInfo{ServerName: name}); c != nil {
		return []*tls.Certificate{c}
	}
	return nil
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
