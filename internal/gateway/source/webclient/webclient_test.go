// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package webclient

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pair makes a certificate that signs itself, for a name, as PEM.
func pair(t *testing.T, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	must(t, err)
	text, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}))
}

func TestAClientCertificateIsShownAndFollowed(t *testing.T) {
	t.Parallel()
	first, firstKey := pair(t, "first")
	second, secondKey := pair(t, "second")
	known := x509.NewCertPool()
	known.AppendCertsFromPEM([]byte(first + second))
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: known}
	s.StartTLS()
	t.Cleanup(s.Close)
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	ask := func(c *Client) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
		must(t, err)
		resp, err := c.Do(r)
		must(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		must(t, err)
		return string(text)
	}
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	must(t, os.WriteFile(certFile, []byte(first), 0o600))
	must(t, os.WriteFile(keyFile, []byte(firstKey), 0o600))
	c := New(TLS{RootCAs: base64.StdEncoding.EncodeToString([]byte(authority)), ClientCert: certFile, ClientKey: keyFile})
	defer c.Close()
	if got := ask(c); got != "first" {
		t.Errorf("shows %q", got)
	}
	must(t, os.WriteFile(certFile, []byte(second), 0o600))
	must(t, os.WriteFile(keyFile, []byte(secondKey), 0o600))
	if got := ask(c); got != "second" {
		t.Errorf("shows %q after the change", got)
	}
	inPlace := New(TLS{RootCAs: authority, ClientCert: first, ClientKey: firstKey})
	defer inPlace.Close()
	if got := ask(inPlace); got != "first" {
		t.Errorf("shows %q", got)
	}
}

func TestCredentialsAreForOneHost(t *testing.T) { // S3
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"https://a/x", "https://A:443/y", true},
		{"http://a/x", "https://a/x", true},
		{"http://a:8080/x", "https://a:8443/x", false},
		{"https://a", "http://a", false},
		{"https://a", "https://b.a", false},
		{"https://b.a", "https://a", false},
		{"https://a", "https://a:8443", false},
		{"https://a", "https://a.", false},
	} {
		a, err := url.Parse(c.a)
		must(t, err)
		b, err := url.Parse(c.b)
		must(t, err)
		if got := SameHost(a, b); got != c.want {
			t.Errorf("%s, %s: %v", c.a, c.b, got)
		}
	}
}

func TestAnErrorIsTheSameAtEachTryAndHoldsNothingSecret(t *testing.T) { // C8
	t.Parallel()
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 54321}
	remote := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}
	for _, c := range []struct {
		err  error
		want string
	}{
		{&url.Error{Op: "Get", URL: "http://u:canary@h/?k=canary", Err: io.EOF}, "EOF"},
		{&url.Error{Op: "Get", URL: "http://h", Err: context.DeadlineExceeded}, "no answer in time"},
		{&net.OpError{Op: "read", Net: "tcp", Source: local, Addr: remote, Err: errors.New("reset")}, "the connection broke: reset"},
		{&net.OpError{Op: "dial", Net: "tcp", Addr: remote, Err: errors.New("refused")}, "connecting to 127.0.0.1:80: refused"},
	} {
		if got := Plain(c.err).Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if got := Shown("https://u:canary@h/p?k=canary#f"); got != "https://h/p" {
		t.Errorf("shown as %s", got)
	}
	if got := Shown("::canary"); strings.Contains(got, "canary") {
		t.Errorf("shown as %s", got)
	}
}
