// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package staple

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ocsp"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// authority issues certificates and answers what is asked of them.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  crypto.Signer

	mu sync.Mutex

	status int
	life   time.Duration
	fail   error
	signer crypto.Signer // another one's, for an answer that is not the authority's
	hang   bool
	asked  int
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return &authority{t: t, cert: cert, key: key, signer: key, life: 4 * time.Hour}
}

func (a *authority) issue(host string, responders ...string) *tls.Certificate {
	a.t.Helper()
	key := newKey(a.t)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	must(a.t, err)
	template := &x509.Certificate{
		SerialNumber: serial, DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0), OCSPServer: responders,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	must(a.t, err)
	leaf, err := x509.ParseCertificate(der)
	must(a.t, err)
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key, Leaf: leaf}
}

// RoundTrip implements http.RoundTripper.
func (a *authority) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	question, err := ocsp.ParseRequest(body)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	if a.hang {
		a.mu.Unlock()
		<-r.Context().Done()
		a.mu.Lock()
		return nil, r.Context().Err()
	}
	if a.fail != nil {
		return nil, a.fail
	}
	text, err := ocsp.CreateResponse(a.cert, a.cert, ocsp.Response{
		Status: a.status, SerialNumber: question.SerialNumber, ThisUpdate: time.Now(), NextUpdate: time.Now().Add(a.life), RevokedAt: time.Now(),
	}, a.signer)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(text)), Request: r}, nil
}

func (a *authority) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

func (a *authority) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

// stapler runs one until the test ends.
func (a *authority) stapler(t *testing.T) *Stapler {
	t.Helper()
	s := New(slog.New(slog.DiscardHandler))
	s.client.Transport = a
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return s
}

func stapled(s *Stapler, c *tls.Certificate) bool { return len(s.With(c).OCSPStaple) > 0 }

func TestAnswersAreKeptAndRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		s := a.stapler(t)
		c, plain := a.issue("a.example.com", "http://ocsp.example.com"), a.issue("b.example.com")
		s.Set([]*tls.Certificate{c, plain})
		synctest.Wait()
		if !stapled(s, c) || stapled(s, plain) || a.count() != 1 {
			t.Fatalf("after %d questions", a.count())
		}
		s.Set([]*tls.Certificate{c, plain}) // the same again
		time.Sleep(119 * time.Minute)
		if a.count() != 1 {
			t.Errorf("%d questions before half of the time", a.count())
		}
		time.Sleep(2 * time.Minute)
		if a.count() != 2 || !stapled(s, c) {
			t.Errorf("%d questions after half of the time", a.count())
		}
		// The authority is silent: its last answer serves until it ends.
		a.set(func() { a.fail = errors.New("connection refused") })
		time.Sleep(3*time.Hour + 50*time.Minute)
		if !stapled(s, c) {
			t.Error("an answer that still holds is given up")
		}
		time.Sleep(20 * time.Minute)
		if stapled(s, c) {
			t.Error("an answer that has ended is served")
		}
		if n := a.count(); n > 12 {
			t.Errorf("%d questions in four hours of silence", n)
		}
		a.set(func() { a.fail = nil })
		time.Sleep(time.Hour)
		if !stapled(s, c) {
			t.Error("not recovered")
		}
		s.Set([]*tls.Certificate{plain})
		before := a.count()
		time.Sleep(24 * time.Hour)
		if stapled(s, c) || a.count() != before {
			t.Error("a certificate that is gone is asked about")
		}
	})
}

func TestWhatTheAuthorityDoesNotSayIsNotPassedOn(t *testing.T) {
	for name, change := range map[string]func(*authority){
		"revoked":                 func(a *authority) { a.status = ocsp.Revoked },
		"unknown":                 func(a *authority) { a.status = ocsp.Unknown },
		"signed by somebody else": func(a *authority) { a.signer = newKey(a.t) },
		"already over":            func(a *authority) { a.life = -time.Minute },
		"no answer":               func(a *authority) { a.hang = true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority(t)
				a.t = t
				change(a)
				s := a.stapler(t)
				c := a.issue("a.example.com", "http://ocsp.example.com")
				s.Set([]*tls.Certificate{c})
				time.Sleep(time.Second)
				if stapled(s, c) || a.count() != 1 {
					t.Errorf("stapled after %d questions", a.count())
				}
				time.Sleep(10 * time.Minute)
			})
		})
	}
}

func TestARevokedCertificateLosesItsGoodAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		s := a.stapler(t)
		c := a.issue("a.example.com", "http://ocsp.example.com")
		s.Set([]*tls.Certificate{c})
		synctest.Wait()
		a.set(func() { a.status = ocsp.Revoked })
		time.Sleep(121 * time.Minute)
		if stapled(s, c) {
			t.Error("it is still said to be good")
		}
	})
}

func TestOneResponderThatHangsHoldsUpNoOtherForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		var list []*tls.Certificate
		for range 12 {
			list = append(list, a.issue("a.example.com", "http://ocsp.example.com"))
		}
		odd := a.issue("b.example.com", "ldap://nowhere")
		a.set(func() { a.hang = true })
		s := a.stapler(t)
		s.Set(append(list, odd))
		time.Sleep(2 * time.Second)
		start := time.Now()
		for _, c := range list {
			s.With(c) // as a handshake
		}
		if time.Since(start) != 0 {
			t.Error("a handshake waits")
		}
		if n := a.count(); n > atOnce {
			t.Errorf("%d questions at a time", n)
		}
		a.set(func() { a.hang = false })
		time.Sleep(2 * time.Minute)
		for i, c := range list {
			if !stapled(s, c) {
				t.Errorf("%d has no answer", i)
			}
		}
	})
}

// A client sees the answer, in a real handshake.
func TestClientsSeeTheAnswer(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	s := a.stapler(t)
	c := a.issue("a.example.com", "http://ocsp.example.com")
	s.Set([]*tls.Certificate{c})
	for deadline := time.Now().Add(30 * time.Second); !stapled(s, c); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no answer")
		}
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client, server := net.Pipe()
		done := make(chan error, 1)
		go func() {
			done <- tls.Server(server, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.With(c), nil }}).Handshake()
		}()
		roots := x509.NewCertPool()
		roots.AddCert(a.cert)
		conn := tls.Client(client, &tls.Config{ServerName: "a.example.com", RootCAs: roots, MaxVersion: version})
		must(t, conn.Handshake())
		answer, err := ocsp.ParseResponse(conn.OCSPResponse(), a.cert)
		if err != nil || answer.Status != ocsp.Good {
			t.Errorf("%s: %v, %v", tls.VersionName(version), answer, err)
		}
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		must(t, <-done)
		_ = client.Close()
	}
}

func TestALookCostsNoMemory(t *testing.T) {
	a := newAuthority(t)
	s := New(slog.New(slog.DiscardHandler))
	var c *tls.Certificate
	known := map[string]answered{}
	for range 2000 {
		c = &tls.Certificate{Leaf: &x509.Certificate{Signature: []byte(strings.Repeat("s", 64) + rand.Text())}}
		known[string(c.Leaf.Signature)] = answered{c, time.Now().Add(time.Hour)}
	}
	s.known.Store(&known)
	other := a.issue("a.example.com")
	if n := testing.AllocsPerRun(100, func() { s.With(c); s.With(other) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	var none *Stapler
	if none.With(c) != c || s.With(nil) != nil {
		t.Error("nothing is not nothing")
	}
}
