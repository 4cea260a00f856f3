// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"bufio"
	"bytes"
	"context"
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
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience ends tests that hang; none of them waits for it.
const patience = 30 * time.Second

// serving is an entry point that serves until the test ends.
type serving struct {
	*EntryPoint

	t    *testing.T
	log  *logBuffer
	done chan error
}

// serve starts an entry point. edit may change it before it accepts anything.
func serve(t *testing.T, o Options, h http.HandlerFunc, edit ...func(*EntryPoint)) *serving {
	t.Helper()
	s := &serving{t: t, log: &logBuffer{}, done: make(chan error, 1)}
	o.Name, o.Handler = "web", h
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	o.Logger = slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	e, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range edit {
		change(e)
	}
	s.EntryPoint = e
	go func() { s.done <- e.Serve() }()
	t.Cleanup(func() {
		_ = e.Close()
		if err := <-s.done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

// dial opens a plain connection, which ends with the test.
func (s *serving) dial() net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.Addr().String()) //nolint:noctx // a test
	if err != nil {
		s.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// raw sends bytes on a connection of their own and reads answers until it ends
// or the answer to the last request of the text is there.
func (s *serving) raw(text string) *http.Response {
	s.t.Helper()
	c := s.dial()
	if _, err := io.WriteString(c, text); err != nil {
		s.t.Fatal(err)
	}
	method, _, _ := strings.Cut(text, " ")
	return s.answer(bufio.NewReader(c), method)
}

// answer reads one answer, with its body.
func (s *serving) answer(from *bufio.Reader, method string) *http.Response {
	s.t.Helper()
	resp, err := http.ReadResponse(from, &http.Request{Method: method})
	if err != nil {
		s.t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	// The server may close with bytes unread, which resets, after an answer of its own.
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		s.t.Fatalf("the body of the answer %d %v: %v", resp.StatusCode, resp.Header, err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp
}

func text(resp *http.Response) string {
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

// client speaks what protocols say, and nothing else.
func (s *serving) client(edit func(*http.Protocols)) *http.Client {
	var p http.Protocols
	edit(&p)
	transport := &http.Transport{
		Protocols:       &p,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // a test of something else
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func overHTTP1(p *http.Protocols) { p.SetHTTP1(true) }
func overHTTP2(p *http.Protocols) { p.SetHTTP2(true) }
func overH2C(p *http.Protocols)   { p.SetUnencryptedHTTP2(true) }

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu sync.Mutex

	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// certificate is self-signed for h.example.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "h.example"}, DNSNames: []string{"h.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// secured is as the gateway has it: everything is asked at each handshake.
func secured(t *testing.T) *tls.Config {
	t.Helper()
	c := certificate(t)
	inner := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &c, nil },
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: inner.NextProtos,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, nil },
	}
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

func TestTheProtocolsOfBothKindsOfEntryPoint(t *testing.T) { // A6
	t.Parallel()
	say := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto+" "+exchange.Of(r).Scheme)
	}
	plainly, secure := serve(t, Options{}, say), serve(t, Options{TLS: secured(t)}, say)
	for _, c := range []struct {
		url  string
		over func(*http.Protocols)
		want string
	}{
		{"http://" + plainly.Addr().String(), overHTTP1, "HTTP/1.1 http"},
		{"http://" + plainly.Addr().String(), overH2C, "HTTP/2.0 http"},
		{"https://" + secure.Addr().String(), overHTTP1, "HTTP/1.1 https"},
		{"https://" + secure.Addr().String(), overHTTP2, "HTTP/2.0 https"},
	} {
		resp, err := plainly.client(c.over).Get(c.url)
		if err != nil {
			t.Errorf("%s, want %s: %v", c.url, c.want, err)
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if string(body) != c.want {
			t.Errorf("%q, want %q", body, c.want)
		}
	}
}

func TestAHandshakeThatCannotBeServedFails(t *testing.T) { // A6
	t.Parallel()
	s := serve(t, Options{TLS: secured(t)}, ok)
	for name, c := range map[string]*tls.Config{
		"TLS 1.1":         {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, //nolint:gosec // what is refused
		"acme-tls/1 only": {NextProtos: []string{"acme-tls/1"}},
		"http/0.9 only":   {NextProtos: []string{"http/0.9"}},
	} {
		c.InsecureSkipVerify = true
		conn := tls.Client(s.dial(), c)
		if err := conn.HandshakeContext(context.Background()); err == nil {
			t.Errorf("a client with %s got through", name)
		}
	}
}

func TestAClientHelloMayComeByteByByte(t *testing.T) { // A6
	t.Parallel()
	var asked string
	c := certificate(t)
	s := serve(t, Options{TLS: &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			asked = h.ServerName
			return &c, nil
		},
	}}, ok)
	conn := tls.Client(bytewise{s.dial()}, &tls.Config{ServerName: "h.example", InsecureSkipVerify: true}) //nolint:gosec // a test
	if err := conn.HandshakeContext(context.Background()); err != nil || asked != "h.example" {
		t.Errorf("%v, the server was asked for %q", err, asked)
	}
}

// bytewise sends every byte in a segment of its own.
type bytewise struct{ net.Conn }

func (c bytewise) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := c.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func TestAnAddressThatIsTakenIsNamed(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{}, ok)
	if _, err := Listen(Options{Address: s.Addr().String()}); err == nil || !strings.Contains(err.Error(), s.Addr().String()) {
		t.Errorf("%v", err)
	}
}

func TestWithoutAHostBothFamiliesAreServed(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{Address: ":0"}, ok)
	_, port, _ := net.SplitHostPort(s.Addr().String())
	for _, host := range []string{"127.0.0.1", "::1"} {
		if host == "::1" && !hasIPv6() {
			continue
		}
		resp, err := s.client(overHTTP1).Get("http://" + net.JoinHostPort(host, port))
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		_ = resp.Body.Close()
	}
}

func hasIPv6() bool {
	l, err := net.Listen("tcp", "[::1]:0") //nolint:noctx // a test
	if err == nil {
		_ = l.Close()
	}
	return err == nil
}

func TestSettingsChangeForTheRequestsToCome(t *testing.T) { // D3
	t.Parallel()
	s := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, exchange.Of(r).ClientIP.String())
	})
	c := s.dial()
	answers := bufio.NewReader(c)
	ask := func() string {
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
		return text(s.answer(answers, "GET"))
	}
	if got := ask(); got != "127.0.0.1" {
		t.Errorf("%s before anybody is trusted", got)
	}
	s.Set(config.Proxy{Enabled: true, TrustedProxies: []string{"127.0.0.0/8"}}, config.Timeouts{})
	if got := ask(); got != "192.0.2.1" {
		t.Errorf("%s on the same connection after the change", got)
	}
	s.Set(config.Proxy{}, config.Timeouts{})
	if got := ask(); got != "127.0.0.1" {
		t.Errorf("%s after it was taken back", got)
	}
}
