// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// H10: a connection of HTTP/2 that is dead is found out by the system, since gRPC's
// servers bear no pings that are closer together than five minutes (their
// min_ping_interval_without_data). G3
func TestADeadConnectionOfHTTP2IsFoundWithoutPings(t *testing.T) {
	if pingAfter <= 5*time.Minute {
		t.Errorf("a ping after %v", pingAfter)
	}
	s := server(t, func(http.ResponseWriter, *http.Request) {})
	g := registry(t, Settings{})
	for p, want := range map[protocol]int{h2c: 45_000, onlyHTTP2: 45_000, negotiated: 0} {
		dial := g.httpTransport(p, &tlsSettings{config: tlsConfig(false)}).DialContext
		c, err := dial(t.Context(), "tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if got := userTimeout(t, c); got != want {
			t.Errorf("protocol %d: %d ms, want %d", p, got, want)
		}
		_ = c.Close()
	}
}

func userTimeout(t *testing.T, c net.Conn) (ms int) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		if ms, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	return ms
}
