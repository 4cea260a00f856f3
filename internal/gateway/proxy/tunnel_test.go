// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"
)

// wire is one end of a connection in memory whose halves can be closed.
type wire struct {
	io.Reader
	*io.PipeWriter

	closed func()
}

func (w *wire) CloseWrite() error { return w.PipeWriter.Close() }

func (w *wire) Close() error {
	w.closed()
	return nil
}

// wires gives the gateway's end of a connection and the peer's.
func wires() (ours, peer *wire) {
	in, fromPeer := io.Pipe()
	toPeer, out := io.Pipe()
	end := func() {
		for _, c := range []interface{ CloseWithError(error) error }{in, fromPeer, toPeer, out} {
			_ = c.CloseWithError(net.ErrClosed)
		}
	}
	return &wire{in, out, end}, &wire{toPeer, fromPeer, end}
}

func TestATunnelThatIsHalfClosedEndsWhenItFallsSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, browser := wires()
		backend, service := wires()
		began := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			join(client, backend, time.Minute)
		}()
		time.Sleep(24 * time.Hour) // a tunnel may be silent as long as it is whole
		_ = browser.CloseWrite()
		if data, err := io.ReadAll(service); err != nil || len(data) > 0 {
			t.Errorf("the backend got %q, %v", data, err)
		}
		buffer := make([]byte, 10)
		for range 5 { // what moves, lives
			time.Sleep(50 * time.Second)
			if _, err := service.Write([]byte("more")); err != nil {
				t.Fatal(err)
			}
			if n, err := browser.Read(buffer); err != nil || string(buffer[:n]) != "more" {
				t.Fatalf("%q, %v", buffer[:n], err)
			}
		}
		<-done
		if took := time.Since(began) - 24*time.Hour; took != 5*50*time.Second+time.Minute {
			t.Errorf("it ended after %s", took)
		}
		if _, err := service.Write([]byte("late")); err == nil {
			t.Error("the backend was not told")
		}
	})
}

func TestATunnelEndsOnBothSidesWhenOneBreaks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, browser := wires()
		backend, service := wires()
		done := make(chan struct{})
		go func() {
			defer close(done)
			join(client, backend, time.Minute)
		}()
		_ = browser.Close()
		<-done
		if _, err := service.Read(make([]byte, 1)); err == nil {
			t.Error("the backend was not told")
		}
	})
}

// switching is a backend that takes an upgrade, and sends what it gets back.
func switching(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		http.Error(w, "no upgrade", http.StatusUpgradeRequired)
		return
	}
	c, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close() //nolint:errcheck // a test
	_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n")
	_, _ = io.Copy(c, buffered)
}

func TestUpgradesWorkForEveryKindOfTarget(t *testing.T) { // H5
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(switching))
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(http.HandlerFunc(switching))
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for scheme, backend := range map[string]*httptest.Server{
		"http": plain, "ws": plain, "h2c": plain, "https": secure, "wss": secure, "grpcs": secure,
	} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			route := config.Route{Security: &config.RouteSecurity{TLS: &config.BackendTLS{InsecureSkipVerify: true}}}
			f := newFront(t, route, scheme+"://"+backend.Listener.Addr().String(), upstream.Settings{})
			c, err := net.Dial("tcp", f.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close() //nolint:errcheck // a test
			_ = c.SetDeadline(time.Now().Add(30 * time.Second))
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			in := bufio.NewReader(c)
			resp, err := http.ReadResponse(in, nil)
			if err != nil || resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-Websocket-Accept") != "x" {
				t.Fatal(resp, err)
			}
			_, _ = io.WriteString(c, "hello")
			_ = c.(*net.TCPConn).CloseWrite() //nolint:forcetypeassert // dialled above
			if data, err := io.ReadAll(in); string(data) != "hello" || err != nil {
				t.Errorf("%q, %v", data, err)
			}
		})
	}
}

func TestAnUpgradeToAnotherProtocolThanAskedForIsRefused(t *testing.T) { // H5
	t.Parallel()
	f := newFront(t, config.Route{}, rawBackend(t, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"), upstream.Settings{})
	answer := f.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if n := strings.Count(answer, "HTTP/1.1 502 "); n != 2 {
		t.Errorf("%q", answer)
	}
}
