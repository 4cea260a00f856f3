// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"
)

// pairFor writes a certificate and its key for names, and gives their files.
func (a *authority) pairFor(t *testing.T, dir, file string, names ...string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(3), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: names,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &private.PublicKey, a.key)
	must(t, err)
	inner, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	cert, key = filepath.Join(dir, file+".crt"), filepath.Join(dir, file+".key")
	write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: inner})))
	return cert, key
}

// statusOn makes a connection for one host and asks on it for another.
func statusOn(t *testing.T, address, sni, host string, h2 bool, client *tls.Certificate) (status int) {
	t.Helper()
	c := &tls.Config{ServerName: sni, InsecureSkipVerify: true} //nolint:gosec // what the server allows is tested
	if client != nil {
		c.Certificates = []tls.Certificate{*client}
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2)
	protocols.SetHTTP2(h2)
	transport := &http.Transport{
		Protocols: protocols, TLSClientConfig: c,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/", nil)
	must(t, err)
	r.Host = host
	resp, err := (&http.Client{Transport: transport, Timeout: patience}).Do(r)
	if err != nil {
		t.Logf("%s for %s: %v", sni, host, err)
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// A client that has a connection for one host may use it for another that the
// certificate covers; for a host with a certificate of its own it is told to make
// another connection.
func TestAConnectionServesTheHostsOfItsCertificate(t *testing.T) { // G4, A2
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(backend.Close)
	ca, dir := newAuthority(t), t.TempDir()
	pair := func(file string, names ...string) string {
		cert, key := ca.pairFor(t, dir, file, names...)
		return fmt.Sprintf("{cert: %q, key: %q}", cert, key)
	}
	settings := "  tls: {certificates: [" + pair("wild", "*.shop.example", "shop.example") + ", " + pair("bank", "bank.example") + "]}\n"
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, path, mainFile(settings, routeYAML("a", "/", backend.URL)))
	r := start(t, Options{ConfigFile: path, WebSecure: "127.0.0.1:0"}).waitReady()
	r.untilRoutes("a")
	for _, x := range []struct {
		sni, host string
		want      int
	}{
		{"a.shop.example", "a.shop.example", 200},
		{"a.shop.example", "A.Shop.Example:8443", 200},
		{"A.SHOP.EXAMPLE", "a.shop.example", 200},
		{"a.shop.example", "b.shop.example", 200},
		{"a.shop.example", "shop.example:443", 200},
		{"a.shop.example", "bank.example", 421},
		{"a.shop.example", "BANK.example:443", 421},
		{"bank.example", "a.shop.example", 421},
		{"bank.example", "x.a.shop.example", 200}, // nothing covers it: the default would be served for it too
		{"unknown.example", "bank.example", 421},
		{"unknown.example", "other.example", 200},
		{"", "bank.example", 200}, // a client that knows no names
		{"bank.example", "127.0.0.1", 200},
	} {
		for _, h2 := range []bool{false, true} {
			if got := statusOn(t, r.at.WebSecure, x.sni, x.host, h2, nil); got != x.want {
				t.Errorf("a connection for %q asks for %q, HTTP/2 %v: %d, want %d", x.sni, x.host, h2, got, x.want)
			}
		}
	}
}

// What is refused so ends the connection of HTTP/1.1, and reaches no backend.
func TestAMisdirectedRequestReachesNoBackend(t *testing.T) { // G4
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it reached the backend") }))
	t.Cleanup(backend.Close)
	ca, dir := newAuthority(t), t.TempDir()
	a, ak := ca.pairFor(t, dir, "a", "a.example")
	b, bk := ca.pairFor(t, dir, "b", "b.example")
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, path, mainFile(fmt.Sprintf("  tls: {certificates: [{cert: %q, key: %q}, {cert: %q, key: %q}]}\n", a, ak, b, bk), routeYAML("a", "/", backend.URL)))
	r := start(t, Options{ConfigFile: path, WebSecure: "127.0.0.1:0"}).waitReady()
	r.untilRoutes("a")
	c, err := tls.Dial("tcp", r.at.WebSecure, &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}) //nolint:gosec,noctx // a test
	must(t, err)
	defer c.Close() //nolint:errcheck // a test
	must(t, c.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: b.example\r\n\r\nGET / HTTP/1.1\r\nHost: b.example\r\n\r\n")
	must(t, err)
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	must(t, err)
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusMisdirectedRequest || !resp.Close {
		t.Errorf("%d, close %v", resp.StatusCode, resp.Close)
	}
	if _, err := in.ReadByte(); err == nil {
		t.Error("the connection goes on")
	}
}
