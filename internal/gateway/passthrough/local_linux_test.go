// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package passthrough

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A connected socket hears nothing of an answer that comes from another address
// than the one that it sent to.
func TestAnswersComeFromTheAddressThatWasAsked(t *testing.T) {
	t.Parallel()
	for network, hosts := range map[string][]string{
		"udp4": {"127.0.0.1", "127.0.0.2", "127.1.2.3"},
		"udp":  append([]string{"127.0.0.1", "127.0.0.2"}, sixth()...),
	} {
		// It listens on all addresses, of the loopback device alone.
		options := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
			controlErr := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), "lo") })
			if err == nil {
				err = controlErr
			}
			return err
		}}
		conn, err := options.ListenPacket(t.Context(), network, ":0")
		must(t, err)
		s := NewServer(Options{})
		p := &port{server: s, key: anyUDP, meter: newMeter(nil, anyUDP)}
		p.rule.Store(&Rule{Port: anyUDP, Target: echoUDP(t, "", "127.0.0.1:0"), Idle: time.Hour})
		listening := newSessions(p, conn.(*net.UDPConn))
		done := make(chan error, 1)
		go func() { done <- listening.serve(s.ctx) }()
		for _, host := range hosts {
			at := net.JoinHostPort(host, fmt.Sprint(conn.LocalAddr().(*net.UDPAddr).Port))
			if got := ask(t, dial(t, "udp", at), "are you "+host+"?"); got != "are you "+host+"?" {
				t.Errorf("%s: %q", network, got)
			}
		}
		s.Close()
		must(t, <-done)
	}
}

// sixth is the loopback address of IPv6, where there is one.
func sixth() []string {
	c, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		return nil
	}
	defer c.Close()
	return []string{"::1"}
}
