// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"
)

func TestAWebSocketIsATunnel(t *testing.T) { // H5
	t.Parallel()
	f := behind(t, config.Route{Rewrite: "/ws"}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ws/x" {
			t.Errorf("path %s", r.URL.Path)
		}
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow() //nolint:errcheck // a test
		c.SetReadLimit(-1)
		for {
			kind, data, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if err := c.Write(r.Context(), kind, data); err != nil {
				t.Error(err)
			}
		}
	})
	c, resp, err := websocket.Dial(t.Context(), f.URL+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow() //nolint:errcheck // a test
	c.SetReadLimit(-1)
	if resp.Header.Get("Upgrade") == "" {
		t.Errorf("head %v", resp.Header)
	}
	for _, size := range []int{1, 1 << 20} {
		message := bytes.Repeat([]byte("x"), size)
		if err := c.Write(t.Context(), websocket.MessageBinary, message); err != nil {
			t.Fatal(err)
		}
		if _, data, err := c.Read(t.Context()); err != nil || !bytes.Equal(data, message) {
			t.Fatalf("%d bytes, %v", len(data), err)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	<-f.done // the tunnel ends with its sides
}

func TestARefusedUpgradeIsAnOrdinaryAnswer(t *testing.T) { // H5
	t.Parallel()
	f := behind(t, config.Route{}, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	_, resp, err := websocket.Dial(t.Context(), f.URL, nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("%v %v", resp, err)
	}
}

func TestEarlyDataOfAnUpgradeAndHalfClosedConnectionsArrive(t *testing.T) { // H5
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close() //nolint:errcheck // a test
		in := bufio.NewReader(c)
		if _, err := http.ReadRequest(in); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\nfirst ")
		data, _ := io.ReadAll(in) // until the client has closed its half
		_, _ = io.WriteString(c, "then "+string(data))
	}()
	f := newFront(t, config.Route{}, "http://"+l.Addr().String(), upstream.Settings{})
	c, err := net.Dial("tcp", f.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // a test
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\nearly")
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Upgrade") != "WebSocket" {
		t.Fatalf("%v, %v", resp, err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(in); err != nil || string(data) != "first then early" {
		t.Errorf("%q, %v", data, err)
	}
}
