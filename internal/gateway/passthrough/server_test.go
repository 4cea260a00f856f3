// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package passthrough

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// lines keeps a log.
type lines struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// G6: one port that is taken is a problem of that port, until it is free.
func TestAPortThatIsTakenHoldsBackNobodyAndIsTriedAgain(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	other, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer other.Close()
	taken := Port{"tcp", other.Addr().(*net.TCPAddr).Port}
	changed := make(chan struct{}, 16)
	s := serving(t, Options{Changed: func() { changed <- struct{}{} }},
		Rule{Port: taken, Target: g.address(), Field: "forwards[0]"}, Rule{Port: anyTCP, Target: g.address(), Field: "forwards[1]"})
	p := s.Problems()
	if len(p) != 1 || p[0].Field != "forwards[0].port" || p[0].Object.Kind != "Gateway" || !strings.Contains(p[0].Message, "something else listens on it") {
		t.Fatalf("problems %v", p)
	}
	say(t, dial(t, "tcp", s.Addr(anyTCP)), "hello")
	hear(t, g.accept(), "hello")
	other.Close()
	<-changed
	if p := s.Problems(); len(p) != 0 {
		t.Errorf("problems %v", p)
	}
	say(t, dial(t, "tcp", s.Addr(taken)), "at last")
	hear(t, g.accept(), "at last")
}

func TestAChangedTargetIsForConnectionsToCome(t *testing.T) {
	t.Parallel()
	one, two := newTarget(t), newTarget(t)
	s := serving(t, Options{}, Rule{Port: anyTCP, Target: one.address()})
	at := s.Addr(anyTCP)
	before := dial(t, "tcp", at)
	say(t, before, "first")
	up := one.accept()
	hear(t, up, "first")
	s.Set([]Rule{{Port: anyTCP, Target: two.address(), Idle: time.Hour}})
	say(t, before, "still here")
	hear(t, up, "still here")
	say(t, dial(t, "tcp", at), "second")
	hear(t, two.accept(), "second")
}

func TestAPortWithoutARuleIsFreeAtOnceAndItsConnectionsGoOn(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	for _, protocol := range []string{"tcp", "udp"} {
		key := Port{protocol, 0}
		s := serving(t, Options{}, Rule{Port: key, Target: g.address()})
		at := s.Addr(key)
		var c, up net.Conn
		if protocol == "tcp" {
			c = dial(t, "tcp", at)
			up = g.accept()
		}
		s.Set(nil)
		if s.Addr(key) != "" {
			t.Error("it is listened on")
		}
		again := serving(t, Options{}) // another gateway would find it free
		number, err := net.ResolveUDPAddr("udp", at)
		must(t, err)
		again.Set([]Rule{{Port: Port{protocol, number.Port}, Target: g.address(), Idle: time.Hour}})
		if p := again.Problems(); len(p) != 0 {
			t.Errorf("%s: %v", protocol, p)
		}
		again.Close()
		if c != nil {
			say(t, c, "still here")
			hear(t, up, "still here")
		}
	}
}

// E1
func TestADrainWaitsForConnectionsAndTakesNoNewOnes(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	s := serving(t, Options{}, Rule{Port: anyTCP, Target: g.address()})
	at := s.Addr(anyTCP)
	c := dial(t, "tcp", at)
	up := g.accept()
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Drain(cut); err == nil {
		t.Error("nobody says that a connection is left")
	}
	if extra, err := net.Dial("tcp", at); err == nil {
		extra.Close()
		t.Error("the port is still open")
	}
	say(t, c, "the last words")
	hear(t, up, "the last words")
	done := make(chan error, 1)
	go func() { done <- s.Drain(t.Context()) }()
	c.Close()
	up.Close()
	must(t, <-done)
	s.Set([]Rule{{Port: anyTCP, Target: g.address()}})
	if s.Addr(anyTCP) != "" {
		t.Error("a port is taken after the drain")
	}
}

func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	udp := echoUDP(t, "", "127.0.0.1:0")
	s := serving(t, Options{}, Rule{Port: anyTCP, Target: g.address()}, Rule{Port: anyUDP, Target: udp})
	c := dial(t, "tcp", s.Addr(anyTCP))
	up := g.accept()
	u := dial(t, "udp", s.Addr(anyUDP))
	say(t, u, "x")
	hear(t, u, "x")
	s.Close()
	over(t, c)
	over(t, up)
	s.Close() // once more does no harm
}

func TestRulesAreThoseOfTheFile(t *testing.T) {
	t.Parallel()
	g := &config.Gateway{}
	g.Proxy = config.Proxy{Enabled: true, TrustedProxies: []string{"10.0.0.0/8"}}
	g.EntryPoints.PassThrough.Forwards = []config.Forward{
		{Protocol: "tcp", Port: 5432, Target: "db:5432", Timeout: 60, MaxConnections: 9, MaxConnectionsPerClient: 3},
		{Protocol: "tcp/udp", Port: 53, Target: "dns:53"},
		{Protocol: "udp", Port: 53, Target: "another:53"}, // the port has a rule
		{Protocol: "sctp", Port: 1, Target: "nobody:1"},   // no such protocol
		{Protocol: "tcp", Port: 25, Target: "mail:25", ProxyProtocol: &config.ForwardProxyProtocol{Accept: true, Send: "v1"}},
		{Protocol: "tcp", Port: 26, Target: "mail:25", ProxyProtocol: &config.ForwardProxyProtocol{Send: "v3"}},
		{Protocol: "tcp", Port: 27, Target: "mail:25", ProxyProtocol: &config.ForwardProxyProtocol{Accept: true, TrustedProxies: []string{"x"}}},
	}
	var got []string
	for _, r := range Rules(g) {
		got = append(got, r.Port.String()+" "+r.Target+" "+r.Idle.String()+" "+r.Field[len(fieldForwards):])
		if trusts := r.Accept.Trusts(mustAddr("10.1.2.3")); trusts != (r.Port.Number == 25) || (r.Send != 0) != (r.Port.Number == 25) {
			t.Errorf("%s: %v, %v", r.Port, trusts, r.Send)
		}
	}
	if r := Rules(g)[0]; r.MaxConns != 9 || r.MaxClientConns != 3 {
		t.Errorf("bounds %d and %d", r.MaxConns, r.MaxClientConns)
	}
	want := []string{"tcp/5432 db:5432 1m0s [0]", "tcp/53 dns:53 1h0m0s [1]", "udp/53 dns:53 5m0s [1]", "tcp/25 mail:25 1h0m0s [4]"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
