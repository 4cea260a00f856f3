// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

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
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// pair makes a certificate for a name, as PEM, that is its own authority.
func pair(t *testing.T, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, IsCA: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", keyDER)
}

// secure is a backend that is called name, reached by Resolve as that.
func secure(t *testing.T, name string, clients *x509.CertPool) (s Settings, authority string) {
	t.Helper()
	cert, key := pair(t, name)
	loaded, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, c := range r.TLS.PeerCertificates {
			_, _ = io.WriteString(w, c.Subject.CommonName)
		}
	}))
	backend.TLS = &tls.Config{Certificates: []tls.Certificate{loaded}, MinVersion: tls.VersionTLS12}
	if clients != nil {
		backend.TLS.ClientAuth, backend.TLS.ClientCAs = tls.RequireAndVerifyClientCert, clients
	}
	backend.Config.ErrorLog = discard()
	backend.StartTLS()
	t.Cleanup(backend.Close)
	return Settings{Resolve: map[string]string{name + ":443": backend.Listener.Addr().String()}}, cert
}

func withTLS(endpoint string, s config.BackendTLS) *config.Route {
	r := target(endpoint)
	r.Security = &config.RouteSecurity{TLS: &s}
	return r
}

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheBackendIsVerified(t *testing.T) { // U5
	t.Parallel()
	settings, authority := secure(t, "shop.internal", nil)
	settings.Resolve["other.internal:443"] = settings.Resolve["shop.internal:443"]
	stranger, _ := pair(t, "shop.internal")
	dir := t.TempDir()
	for _, c := range []struct {
		name, endpoint string
		tls            config.BackendTLS
		works          bool
	}{
		{"by the authority alone, in place", "https://shop.internal", config.BackendTLS{RootCAs: authority}, true},
		{"by the authority in base64", "https://shop.internal", config.BackendTLS{RootCAs: base64.StdEncoding.EncodeToString([]byte(authority))}, true},
		{"by the authority in a file", "https://shop.internal", config.BackendTLS{RootCAs: write(t, filepath.Join(dir, "ca.pem"), authority)}, true},
		{"and refused by another authority", "https://shop.internal", config.BackendTLS{RootCAs: stranger}, false},
		{"and refused without its authority", "https://shop.internal", config.BackendTLS{}, false},
		{"and refused under another name", "https://other.internal", config.BackendTLS{RootCAs: authority}, false},
		{"unless that is switched off", "https://other.internal", config.BackendTLS{InsecureSkipVerify: true}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := ask(t, acquire(t, registry(t, settings), withTLS(c.endpoint, c.tls)))
			if c.works != (err == nil) {
				t.Fatal(err)
			}
		})
	}
}

func TestTheClientCertificateIsShown(t *testing.T) {
	t.Parallel()
	cert, key := pair(t, "the gateway")
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM([]byte(cert))
	settings, authority := secure(t, "shop.internal", clients)
	g := registry(t, settings)
	route := withTLS("https://shop.internal", config.BackendTLS{RootCAs: authority, ClientCert: cert, ClientKey: config.PrivateKey(key)})
	if _, body, err := ask(t, acquire(t, g, route)); err != nil || body != "the gateway" {
		t.Fatal(body, err)
	}
	if _, _, err := ask(t, acquire(t, g, withTLS("https://shop.internal", config.BackendTLS{RootCAs: authority}))); err == nil {
		t.Fatal("it worked without: connections of the two routes are shared")
	}
}

func TestWhatCannotBeReadIsAProblemAndNoConnection(t *testing.T) { // U5, C8
	t.Parallel()
	cert, key := pair(t, "a")
	_, otherKey := pair(t, "b")
	dir := t.TempDir()
	canary := base64.StdEncoding.EncodeToString([]byte("canary-canary-canary"))
	long := strings.Repeat(canary, 300)
	for _, c := range []struct {
		name, field string
		tls         config.BackendTLS
		reason      config.Reason
	}{
		{"a missing authority", "rootCAs", config.BackendTLS{RootCAs: filepath.Join(dir, "none.pem")}, config.ReasonSecretNotFound},
		{"an authority without a certificate", "rootCAs", config.BackendTLS{RootCAs: write(t, filepath.Join(dir, "junk.pem"), "junk")}, config.ReasonSecretInvalid},
		{"an authority that is a key", "rootCAs", config.BackendTLS{RootCAs: key}, config.ReasonSecretInvalid},
		{"an authority that is a folder", "rootCAs", config.BackendTLS{RootCAs: dir}, config.ReasonSecretInvalid},
		{"a missing certificate", "clientCert", config.BackendTLS{ClientCert: filepath.Join(dir, "none.pem"), ClientKey: config.PrivateKey(key)}, config.ReasonSecretNotFound},
		{"a missing key", "clientKey", config.BackendTLS{ClientCert: cert, ClientKey: config.PrivateKey(filepath.Join(dir, "none.key"))}, config.ReasonSecretNotFound},
		{"no key", "clientKey", config.BackendTLS{ClientCert: cert}, config.ReasonSecretInvalid},
		{"no certificate", "clientCert", config.BackendTLS{ClientKey: config.PrivateKey(key)}, config.ReasonSecretInvalid},
		{"a key of another certificate", "clientCert", config.BackendTLS{ClientCert: cert, ClientKey: config.PrivateKey(otherKey)}, config.ReasonSecretInvalid},
		{"a key that is not one", "clientKey", config.BackendTLS{ClientCert: cert, ClientKey: config.PrivateKey(canary)}, config.ReasonSecretNotFound},
		{"a long key that is not one", "clientKey", config.BackendTLS{ClientCert: cert, ClientKey: config.PrivateKey(long)}, config.ReasonSecretInvalid},
		{"a key of many lines that is not one", "clientKey", config.BackendTLS{ClientCert: cert, ClientKey: config.PrivateKey(canary + "\n" + canary)}, config.ReasonSecretInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := problem(t, registry(t, Settings{}), withTLS("https://shop.internal", c.tls))
			if p.Field != "security.tls."+c.field || p.Reason != c.reason || !strings.Contains(p.Message, c.field) {
				t.Errorf("%s", p)
			}
			if text := p.String(); strings.Contains(text, canary[:8]) || strings.Contains(text, "BEGIN") {
				t.Errorf("the problem shows the key: %s", text)
			}
		})
	}
}

func TestARotatedCertificateMakesNewConnections(t *testing.T) {
	t.Parallel()
	settings, authority := secure(t, "shop.internal", nil)
	stranger, _ := pair(t, "shop.internal")
	path := write(t, filepath.Join(t.TempDir(), "ca.pem"), authority)
	g := registry(t, settings)
	route := withTLS("https://shop.internal", config.BackendTLS{RootCAs: path})
	before, _ := g.Acquire(route)
	if !slices.Equal(before.Files(), []string{path}) {
		t.Errorf("files %v", before.Files())
	}
	if _, _, err := ask(t, before); err != nil {
		t.Fatal(err)
	}
	write(t, path, stranger)
	after := acquire(t, g, route)
	before.Release()
	if _, _, err := ask(t, after); err == nil {
		t.Fatal("the connection of the old authority was used")
	}
}

func TestAPathMayBeRelative(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	settings, authority := secure(t, "shop.internal", nil)
	path := write(t, filepath.Join(t.TempDir(), "ca.pem"), authority)
	relative, err := filepath.Rel(here, path)
	if err != nil {
		t.Fatal(err)
	}
	c := acquire(t, registry(t, settings), withTLS("https://shop.internal", config.BackendTLS{RootCAs: relative}))
	if _, _, err := ask(t, c); err != nil || !slices.Equal(c.Files(), []string{path}) {
		t.Fatal(err, c.Files())
	}
}
