// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	var err error
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	must(t, err)
	a.cert, err = x509.ParseCertificate(der)
	must(t, err)
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

func (a *authority) issue(t *testing.T, usage x509.ExtKeyUsage) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{usage}, DNSNames: []string{"h.example"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	must(t, err)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// handshake tells whether a client gets through.
func handshake(t *testing.T, server *tls.Config, client *tls.Certificate) error {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	must(t, err)
	defer l.Close()                                 //nolint:errcheck // a test
	config := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // only the client's certificate matters here
	if client != nil {
		config.Certificates = []tls.Certificate{*client}
	}
	var dialed sync.WaitGroup
	defer dialed.Wait()
	dialed.Go(func() {
		if c, err := tls.Dial("tcp", l.Addr().String(), config); err == nil { //nolint:noctx // a test
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	})
	conn, err := l.Accept()
	must(t, err)
	defer conn.Close() //nolint:errcheck // a test
	return tls.Server(conn, server).Handshake()
}

func TestClientCertificatesAreDemandedWhateverElseIsLoaded(t *testing.T) { // A1
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	serving := ca.issue(t, x509.ExtKeyUsageServerAuth)
	good, bad := ca.issue(t, x509.ExtKeyUsageClientAuth), other.issue(t, x509.ExtKeyUsageClientAuth)
	file := filepath.Join(t.TempDir(), "ca.crt")
	must(t, os.WriteFile(file, ca.pem, 0o600))
	g := &gateway{}
	apply := func(auth *config.ClientAuth) *tls.Config {
		t.Helper()
		g.setClientAuth(&config.Gateway{TLS: &config.TLS{ClientAuth: auth}})
		c := g.tlsConfig.Load().config.Clone()
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return serving, nil }
		return c
	}
	for _, c := range []struct {
		name            string
		auth            *config.ClientAuth
		none, good, bad bool // who gets through
	}{
		{"no client authentication", nil, true, true, true},
		{"a path, required", &config.ClientAuth{ClientCA: file, Required: true}, false, true, false},
		{"text, required", &config.ClientAuth{ClientCA: string(ca.pem), Required: true}, false, true, false},
		{"base64, required", &config.ClientAuth{ClientCA: base64.StdEncoding.EncodeToString(ca.pem), Required: true}, false, true, false},
		{"verified if given", &config.ClientAuth{ClientCA: file}, true, true, false},
		{"a missing file", &config.ClientAuth{ClientCA: file + ".none", Required: true}, false, false, false},
		{"no authority at all", &config.ClientAuth{Required: true}, false, false, false},
	} {
		server := apply(c.auth)
		for who, want := range map[*tls.Certificate]bool{nil: c.none, good: c.good, bad: c.bad} {
			if err := handshake(t, server, who); (err == nil) != want {
				t.Errorf("%s: a client (certificate %v, good %v) got %v", c.name, who != nil, who == good, err)
			}
		}
	}
	before := g.tlsConfig.Load()
	if len(before.problems) != 1 || before.problems[0].Field != "gateway.tls.clientAuth.clientCA" {
		t.Errorf("problems %v", before.problems)
	}
	apply(&config.ClientAuth{ClientCA: file, Required: true})
	before = g.tlsConfig.Load()
	apply(&config.ClientAuth{ClientCA: file, Required: true})
	if g.tlsConfig.Load() != before {
		t.Error("the same settings make other session keys")
	}
	write(t, file, string(other.pem)) // a changed authority takes effect, and nobody resumes past it
	server := apply(&config.ClientAuth{ClientCA: file, Required: true})
	if handshake(t, server, good) == nil || handshake(t, server, bad) != nil {
		t.Error("a changed authority is not in effect")
	}
}
