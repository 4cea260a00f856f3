// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package passthrough

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func mustAddr(s string) netip.Addr { return netip.MustParseAddr(s) }

// ask sends a datagram and gives the answer.
func ask(t *testing.T, c net.Conn, text string) string {
	t.Helper()
	say(t, c, text)
	b := make([]byte, maxDatagram)
	n, err := c.Read(b)
	must(t, err)
	return string(b[:n])
}

func TestDatagramsPassBothWaysForEachClient(t *testing.T) {
	t.Parallel()
	s := serving(t, Options{}, Rule{Port: anyUDP, Target: echoUDP(t, "echo ", "127.0.0.1:0")})
	clients := []net.Conn{dial(t, "udp", s.Addr(anyUDP)), dial(t, "udp", s.Addr(anyUDP)), dial(t, "udp", s.Addr(anyUDP))}
	for round := range 5 {
		for i, c := range clients {
			text := fmt.Sprint(i, "-", round)
			if got := ask(t, c, text); got != "echo "+text {
				t.Errorf("client %d gets %q", i, got)
			}
		}
	}
	if n := active(t, s); n != 3 {
		t.Errorf("%v sessions", n)
	}
}

func TestTheLargestDatagramAndAnEmptyOnePass(t *testing.T) {
	t.Parallel()
	s := serving(t, Options{}, Rule{Port: anyUDP, Target: echoUDP(t, "", "127.0.0.1:0")})
	c := dial(t, "udp", s.Addr(anyUDP))
	for _, text := range []string{strings.Repeat("x", 65507), "", "small"} {
		if got := askOnce(t, c, text); got != text {
			t.Errorf("%d bytes arrive of %d", len(got), len(text))
		}
	}
}

// askOnce is ask for a text that may be empty.
func askOnce(t *testing.T, c net.Conn, text string) string {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, maxDatagram)
	n, err := c.Read(b)
	must(t, err)
	return string(b[:n])
}

func TestAnIdleSessionEndsAndTheClientMayComeBack(t *testing.T) { // G6
	t.Parallel()
	s := serving(t, Options{}, Rule{Port: anyUDP, Target: echoUDP(t, "", "127.0.0.1:0"), Idle: 50 * time.Millisecond})
	c := dial(t, "udp", s.Addr(anyUDP))
	for range 2 {
		if got := ask(t, c, "x"); got != "x" {
			t.Errorf("%q", got)
		}
		eventually(t, "the session is over", func() bool { return active(t, s) == 0 })
	}
}

// G6: whoever only sends once, as forged addresses do, makes room; whoever talks
// with the target does not.
func TestTooManySessionsDoNotCostThoseWhoTalk(t *testing.T) {
	t.Parallel()
	s := serving(t, Options{MaxSessions: 3}, Rule{Port: anyUDP, Target: echoUDP(t, "", "127.0.0.1:0")})
	talker := dial(t, "udp", s.Addr(anyUDP))
	ask(t, talker, "one")
	ask(t, talker, "two")
	for i := range 20 {
		ask(t, dial(t, "udp", s.Addr(anyUDP)), fmt.Sprint(i))
		if n := active(t, s); n > 3 {
			t.Fatalf("%v sessions", n)
		}
	}
	talkers := sessionsOf(s)
	if got := ask(t, talker, "still here"); got != "still here" {
		t.Errorf("%q", got)
	}
	if !talkers[talker.LocalAddr().String()] {
		t.Error("the session of the one who talks had to go")
	}
}

func TestWhereEverybodyTalksNewcomersHaveToWait(t *testing.T) { // G6
	t.Parallel()
	s := serving(t, Options{MaxSessions: 2}, Rule{Port: anyUDP, Target: echoUDP(t, "", "127.0.0.1:0")})
	for range 2 {
		c := dial(t, "udp", s.Addr(anyUDP))
		ask(t, c, "one")
		ask(t, c, "two")
	}
	say(t, dial(t, "udp", s.Addr(anyUDP)), "me too")
	eventually(t, "the newcomer is refused", func() bool { return metric(t, s, "gateway_passthrough_refused_total", "limit") == 1 })
	if n := active(t, s); n != 2 {
		t.Errorf("%v sessions", n)
	}
}

// sessionsOf are the clients of the UDP port.
func sessionsOf(s *Server) map[string]bool {
	x := s.ports[anyUDP].listener.(*sessions)
	x.mu.Lock()
	defer x.mu.Unlock()
	clients := map[string]bool{}
	for p := range x.byPeer {
		clients[netip.AddrPortFrom(p.client.Addr().Unmap(), p.client.Port()).String()] = true
	}
	return clients
}

func TestAChangedTargetIsForTheNextDatagram(t *testing.T) {
	t.Parallel()
	s := serving(t, Options{}, Rule{Port: anyUDP, Target: echoUDP(t, "one ", "127.0.0.1:0")})
	c := dial(t, "udp", s.Addr(anyUDP))
	if got := ask(t, c, "x"); got != "one x" {
		t.Fatalf("%q", got)
	}
	s.Set([]Rule{{Port: anyUDP, Target: echoUDP(t, "two ", "127.0.0.1:0"), Idle: time.Hour}})
	if got := ask(t, c, "x"); got != "two x" {
		t.Errorf("%q", got)
	}
}

func TestASessionOutlivesATargetThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	reserved, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	at := reserved.LocalAddr().String()
	reserved.Close()
	s := serving(t, Options{}, Rule{Port: anyUDP, Target: at})
	c := dial(t, "udp", s.Addr(anyUDP))
	for range 3 {
		say(t, c, "is anybody there?")
	}
	eventually(t, "the datagrams have been taken", func() bool { return metric(t, s, "gateway_passthrough_bytes_total", "received") == 51 })
	echoUDP(t, "", at)
	say(t, c, "now?")
	must(t, c.SetReadDeadline(time.Now().Add(patience)))
	for got := ""; got != "now?"; { // earlier ones may have waited for their socket
		b := make([]byte, 64)
		n, err := c.Read(b)
		must(t, err)
		got = string(b[:n])
	}
	if n := active(t, s); n != 1 {
		t.Errorf("%v sessions", n)
	}
}

// What comes before a name is known is kept in order, and not without bound.
func TestDatagramsWaitForTheTarget(t *testing.T) {
	t.Parallel()
	target, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	defer target.Close()
	owner := &sessions{}
	x := &session{owner: owner, rule: &Rule{Idle: time.Hour}}
	for i := range 3 * maxWaiting {
		x.send(fmt.Appendf(nil, "%02d", i))
	}
	conn, err := net.Dial("udp", target.LocalAddr().String())
	must(t, err)
	defer conn.Close()
	x.connected(conn.(*net.UDPConn))
	x.send([]byte("later"))
	must(t, target.SetReadDeadline(time.Now().Add(patience)))
	b := make([]byte, 64)
	for i := range maxWaiting + 1 {
		want := fmt.Sprintf("%02d", i)
		if i == maxWaiting {
			want = "later"
		}
		if n, _, err := target.ReadFrom(b); err != nil || string(b[:n]) != want {
			t.Fatalf("%q instead of %q, %v", b[:n], want, err)
		}
	}
}

func TestATargetWhoseNameIsUnknownEndsTheSession(t *testing.T) {
	t.Parallel()
	log := &lines{}
	s := serving(t, Options{Logger: log.logger()}, Rule{Port: anyUDP, Target: "127.0.0.1:no-such-port"})
	say(t, dial(t, "udp", s.Addr(anyUDP)), "x")
	eventually(t, "it is counted", func() bool { return metric(t, s, "gateway_passthrough_refused_total", "target") == 1 })
	eventually(t, "nothing is open", func() bool { return active(t, s) == 0 })
	if !strings.Contains(log.String(), "a target cannot be reached") {
		t.Errorf("the log says:\n%s", log)
	}
}

// E1
func TestADrainLetsSessionsEndAndBeginsNone(t *testing.T) {
	t.Parallel()
	s := serving(t, Options{}, Rule{Port: anyUDP, Target: echoUDP(t, "", "127.0.0.1:0")})
	at := s.Addr(anyUDP)
	c := dial(t, "udp", at)
	ask(t, c, "x")
	begun, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Drain(begun); err == nil {
		t.Error("nobody says that a session is left")
	}
	if got := ask(t, c, "the last words"); got != "the last words" {
		t.Errorf("%q", got)
	}
	must(t, s.Drain(t.Context())) // it is quiet before the idle time, which is an hour
}
