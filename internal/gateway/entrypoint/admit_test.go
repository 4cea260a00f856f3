// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// idle opens a connection and uses it once, so that it is known to be admitted.
func (s *serving) idle(from string) net.Conn {
	s.t.Helper()
	c := s.dialFrom(from)
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		s.t.Fatal(err)
	}
	if resp := s.answer(bufio.NewReader(c), http.MethodGet); resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%d", resp.StatusCode)
	}
	return c
}

func (s *serving) dialFrom(from string) net.Conn {
	s.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(context.Background(), "tcp", s.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// status asks on a new connection.
func (s *serving) status(from string) int {
	s.t.Helper()
	c := s.dialFrom(from)
	defer c.Close() //nolint:errcheck // a test
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		return 0
	}
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode == http.StatusServiceUnavailable {
		if _, err := in.ReadByte(); !errors.Is(err, io.EOF) || !resp.Close {
			s.t.Errorf("after a refusal: %v, close %v", err, resp.Close)
		}
	}
	return resp.StatusCode
}

// until waits for a thing that happens in another goroutine.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) { // H9
	t.Parallel()
	s := serve(t, Options{Point: config.EntryPoint{MaxConnections: 4, MaxConnectionsPerClient: 2}}, ok)
	first := s.idle("127.0.0.1")
	s.idle("127.0.0.1")
	if got := s.status("127.0.0.1"); got != http.StatusServiceUnavailable {
		t.Errorf("%d for a client that has as many as it may", got)
	}
	s.idle("127.0.0.2")
	s.idle("127.0.0.3")
	if got := s.status("127.0.0.4"); got != http.StatusServiceUnavailable {
		t.Errorf("%d when there are as many as there may be", got)
	}
	if got := s.Refused(); got != (Refused{Limit: 1, Client: 1}) {
		t.Errorf("%+v are counted", got)
	}
	_ = first.Close()
	until(t, "no place is free again", func() bool { return s.status("127.0.0.4") == http.StatusOK })
	until(t, "the last one still counts", func() bool { n, _ := s.admission.conns.Open(); return n == 3 })
	if got := s.status("127.0.0.1"); got != http.StatusOK {
		t.Errorf("%d after a connection of the client has ended", got)
	}
}

func TestConnectionsOfTLSAreBoundedBeforeAnyHandshake(t *testing.T) { // H9
	t.Parallel()
	s := serve(t, Options{TLS: secured(t), Point: config.EntryPoint{MaxConnections: 2, MaxConnectionsPerClient: 2}}, ok)
	dial := func(protocol string) (net.Conn, error) {
		below, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			return nil, err // it may be refused as early as that
		}
		t.Cleanup(func() { _ = below.Close() })
		_ = below.SetDeadline(time.Now().Add(patience))
		c := tls.Client(below, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}}) //nolint:gosec // a test of something else
		return c, c.HandshakeContext(context.Background())
	}
	first, err := dial("h2") // the server of HTTP/2 has it
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dial("http/1.1"); err != nil {
		t.Fatal(err)
	}
	if _, err := dial("http/1.1"); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("one too many: %v", err)
	}
	if got := s.Refused().Limit; got != 1 {
		t.Errorf("%d are counted", got)
	}
	_ = first.Close()
	until(t, "a place is not free again", func() bool {
		c, err := dial("h2")
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// A trusted proxy has connections for all its clients.
func TestTrustedProxiesAreNotBoundAsClients(t *testing.T) { // H9
	t.Parallel()
	s := serve(t, Options{
		Proxy: config.Proxy{Enabled: true, TrustedProxies: []string{"127.0.0.9"}},
		Point: config.EntryPoint{MaxConnections: 10, MaxConnectionsPerClient: 1},
	}, ok)
	for range 3 {
		s.idle("127.0.0.9")
	}
	s.idle("127.0.0.1")
	if got := s.status("127.0.0.1"); got != http.StatusServiceUnavailable {
		t.Errorf("%d for anybody else", got)
	}
}

// Those that are refused cost next to nothing, however many there are and whatever
// they do.
func TestRefusalsTakeNoMemory(t *testing.T) { // H9
	// Not parallel: goroutines are counted.
	s := serve(t, Options{Point: config.EntryPoint{MaxConnections: 1}}, ok)
	s.idle("127.0.0.1")
	before := runtime.NumGoroutine()
	most := 0
	for range 1000 {
		if c, err := net.Dial("tcp", s.Addr().String()); err == nil { //nolint:noctx // a test
			defer c.Close() //nolint:errcheck // it says nothing
		} // else it was reset before it was known to be there
		most = max(most, runtime.NumGoroutine()-before)
	}
	until(t, "not all are refused", func() bool { r := s.Refused(); return r.Limit+r.Client == 1000 })
	if most > maxTurning+16 {
		t.Errorf("%d goroutines for those that are refused", most)
	}
	if n, _ := s.admission.conns.Open(); n != 1 {
		t.Errorf("%d connections count", n)
	}
}

// failing is a listener that cannot accept for a while.
type failing struct {
	net.Listener

	left atomic.Int64
}

func (l *failing) Accept() (net.Conn, error) {
	if l.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

// Errors of Accept are waited for with longer and longer pauses, and end nothing.
func TestTooManyOpenFilesMakeNoBusyLoop(t *testing.T) { // H9, G6
	t.Parallel()
	var broken *failing
	began := time.Now()
	s := serve(t, Options{}, ok, func(e *EntryPoint) {
		broken = &failing{Listener: e.listener}
		broken.left.Store(6)
		e.listener = broken
	})
	s.idle("127.0.0.1")
	if took := time.Since(began); took < 5*(1+2+4+8+16+32)*time.Millisecond {
		t.Errorf("it was tried again after %v", took)
	}
}

const named = "PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\n"

// namedV2 is the same in version 2.
const namedV2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x02\xdc\x04\x01\xbb"

func TestLoadBalancersNameTheirClients(t *testing.T) { // P5, G6
	t.Parallel()
	say := func(w http.ResponseWriter, r *http.Request) {
		x := exchange.Of(r)
		_, _ = io.WriteString(w, x.ClientIP.String()+" "+x.PeerIP.String()+" "+r.RemoteAddr+" "+r.Proto)
	}
	point := config.EntryPoint{ProxyProtocol: &config.ProxyProtocol{Accept: true, TrustedProxies: []string{"127.0.0.9"}}}
	plainly, secure := serve(t, Options{Point: point}, say), serve(t, Options{Point: point, TLS: secured(t)}, say)
	for _, header := range []string{named, namedV2} {
		for _, protocol := range []string{"", "http/1.1", "h2", "h2c"} {
			s := secure
			if protocol == "" || protocol == "h2c" {
				s = plainly
			}
			transport := &http.Transport{Protocols: new(http.Protocols)}
			transport.Protocols.SetHTTP1(protocol == "" || protocol == "http/1.1")
			transport.Protocols.SetHTTP2(protocol == "h2")
			transport.Protocols.SetUnencryptedHTTP2(protocol == "h2c")
			transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // a test of something else
			transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
				c := s.dialFrom("127.0.0.9")
				_, err := io.WriteString(c, header)
				return c, err
			}
			url := "https://h/"
			if s == plainly {
				url = "http://h/"
			}
			resp, err := (&http.Client{Transport: transport, Timeout: patience}).Get(url)
			if err != nil {
				t.Errorf("%s: %v", protocol, err)
				continue
			}
			got := text(resp)
			_ = resp.Body.Close()
			transport.CloseIdleConnections()
			if !strings.HasPrefix(got, "192.0.2.7 192.0.2.7 192.0.2.7:56324 HTTP/") {
				t.Errorf("%q: %s", protocol, got)
			}
		}
	}
}

func TestOnlyLoadBalancersNameClients(t *testing.T) { // P5, G6
	t.Parallel()
	s := serve(t, Options{Point: config.EntryPoint{
		MaxConnectionsPerClient: 2,
		ProxyProtocol:           &config.ProxyProtocol{Accept: true, TrustedProxies: []string{"127.0.0.9"}},
	}}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, exchange.Of(r).ClientIP.String())
	})
	const get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	ask := func(from, send string) string {
		c := s.dialFrom(from)
		_, _ = io.WriteString(c, send)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return "closed"
		}
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 32)) //nolint:errcheck // a test
		return resp.Status[:3] + " " + strings.Split(string(body), "\n")[0]
	}
	for _, x := range []struct{ from, send, want string }{
		{"127.0.0.1", get, "200 127.0.0.1"},
		{"127.0.0.1", named + get, "400"},
		{"127.0.0.9", get, "closed"},
		{"127.0.0.9", "PROXY TCP4 nonsense\r\n" + get, "closed"},
		{"127.0.0.9", "PROXY UNKNOWN\r\n" + get, "200 127.0.0.9"},
		{"127.0.0.9", named + get, "200 192.0.2.7"},
		{"127.0.0.9", named + get, "200 192.0.2.7"},
		{"127.0.0.9", named + get, "503"}, // the third connection of that client
	} {
		if got := ask(x.from, x.send); !strings.HasPrefix(got, x.want) {
			t.Errorf("%s sends %q: %s, want %s", x.from, x.send, got, x.want)
		}
	}
	if got := s.Refused(); got.Header != 2 || got.Client != 1 {
		t.Errorf("%+v are counted", got)
	}
	s.Set(config.Proxy{}, config.Timeouts{}) // the list of the entry point itself stays
	if got := ask("127.0.0.9", get); got != "closed" {
		t.Errorf("after other settings: %s", got)
	}
}
