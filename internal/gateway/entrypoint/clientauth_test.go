// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// authority signs client certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

func (a *authority) issue(t *testing.T) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// switched is a TLS configuration that asks a pointer at each handshake, as that
// of the gateway does.
func switched(live *atomic.Pointer[tls.Config]) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return live.Load(), nil },
	}
}

func TestWithoutItsCertificateAClientGetsNothingAndNoSessionOutlivesAnAuthority(t *testing.T) { // A1
	t.Parallel()
	first, second := newAuthority(t), newAuthority(t)
	serving := certificate(t)
	demand := func(auth tls.ClientAuthType, a *authority) *tls.Config {
		c := &tls.Config{
			MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, ClientAuth: auth,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &serving, nil },
		}
		if a != nil {
			c.ClientCAs = a.pool()
		}
		return c
	}
	required := tls.RequireAndVerifyClientCert
	for name, over := range map[string]func(*http.Protocols){"HTTP/1.1": overHTTP1, "HTTP/2": overHTTP2} {
		for version, max := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
			t.Run(name+" over "+version, func(t *testing.T) {
				t.Parallel()
				var live atomic.Pointer[tls.Config]
				live.Store(demand(required, first))
				s := serve(t, Options{TLS: switched(&live)}, ok)
				client := func(cert ...tls.Certificate) *http.Client {
					c := s.client(over)
					tlsConfig := c.Transport.(*http.Transport).TLSClientConfig
					tlsConfig.Certificates, tlsConfig.MaxVersion = cert, max
					tlsConfig.ClientSessionCache = tls.NewLRUClientSessionCache(4)
					return c
				}
				nobody, owner, stranger := client(), client(first.issue(t)), client(second.issue(t))
				expectAccess(t, s, nobody, false, false)
				expectAccess(t, s, stranger, false, false)
				expectAccess(t, s, owner, true, false)
				expectAccess(t, s, owner, true, true) // the session is a real one
				live.Store(demand(required, second))
				expectAccess(t, s, owner, false, false)
				live.Store(demand(required, first))
				expectAccess(t, s, owner, true, false)
				live.Store(demand(tls.NoClientCert, nil)) // a session without a certificate…
				expectAccess(t, s, nobody, true, false)
				expectAccess(t, s, nobody, true, true)
				live.Store(demand(required, first)) // …is none where one is required
				expectAccess(t, s, nobody, false, false)
			})
		}
	}
}

// expectAccess makes one request on a connection of its own. resumed is checked
// only where it must be.
func expectAccess(t *testing.T, s *serving, c *http.Client, access, resumed bool) {
	t.Helper()
	resp, err := c.Get("https://" + s.Addr().String() + "/")
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body) // a ticket of TLS 1.3 comes after the handshake
		_ = resp.Body.Close()
		if resumed && !resp.TLS.DidResume {
			t.Error("the session was not resumed, so this shows nothing")
		}
	}
	c.CloseIdleConnections()
	if (err == nil) != access {
		t.Errorf("access %v (%v), want %v", err == nil, err, access)
	}
}
