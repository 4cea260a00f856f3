// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

func TestWhatAnAuthoritySaysOfACertificateIsPassedOnUntilItIsSwitchedOff(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		question, err := ocsp.ParseRequest(body)
		if err != nil {
			t.Error(err)
			return
		}
		text, err := ocsp.CreateResponse(ca.cert, ca.cert, ocsp.Response{
			Status: ocsp.Good, SerialNumber: question.SerialNumber, ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
		}, ca.key)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = w.Write(text)
	}))
	t.Cleanup(responder.Close)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(7), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"h.example"}, OCSPServer: []string{responder.URL},
	}, ca.cert, &key.PublicKey, ca.key)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	dir := t.TempDir()
	cert, keyFile, path := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), filepath.Join(dir, "goma.yml")
	write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))+string(ca.pem))
	write(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	settings := func(more string) string {
		return mainFile(fmt.Sprintf("  tls: {certificates: [{cert: %q, key: %q}]%s}\n", cert, keyFile, more), "")
	}
	write(t, path, settings(""))
	r := start(t, Options{ConfigFile: path, WebSecure: "127.0.0.1:0"}).waitReady()
	stapled := func(want bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
			c, err := tls.Dial("tcp", r.at.WebSecure, &tls.Config{ServerName: "h.example", InsecureSkipVerify: true}) //nolint:gosec,noctx // it is looked at, not trusted
			must(t, err)
			answer := c.OCSPResponse()
			must(t, c.Close())
			if len(answer) > 0 == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("an answer is passed on: %v, want %v", !want, want)
			}
		}
	}
	stapled(true)
	write(t, path, settings(", ocspStapling: false"))
	stapled(false)
}
