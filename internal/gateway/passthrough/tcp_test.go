// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package passthrough

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/proxyprotocol"
)

func TestBytesPassBothWaysAndSoDoTheirEnds(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	s := serving(t, Options{}, Rule{Port: anyTCP, Target: g.address()})
	c := dial(t, "tcp", s.Addr(anyTCP))
	say(t, c, "a question")
	up := g.accept()
	must(t, c.(*net.TCPConn).CloseWrite())
	if text, err := io.ReadAll(up); err != nil || string(text) != "a question" {
		t.Fatalf("the target gets %q, %v", text, err)
	}
	say(t, up, "an answer, after the end of the question")
	must(t, up.Close())
	if text, err := io.ReadAll(c); err != nil || string(text) != "an answer, after the end of the question" {
		t.Errorf("the client gets %q, %v", text, err)
	}
	eventually(t, "nothing is open", func() bool { return active(t, s) == 0 })
	for direction, want := range map[string]float64{"received": 10, "sent": 40} {
		if got := metric(t, s, "gateway_passthrough_bytes_total", direction); got != want {
			t.Errorf("%v bytes %s", got, direction)
		}
	}
}

func TestLargeTransfersAreIntactInBothDirectionsAtOnce(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	s := serving(t, Options{}, Rule{Port: anyTCP, Target: g.address()})
	c := dial(t, "tcp", s.Addr(anyTCP))
	up := g.accept()
	var group sync.WaitGroup
	for _, way := range [][2]net.Conn{{c, up}, {up, c}} {
		data := make([]byte, 5<<20)
		_, _ = rand.Read(data)
		group.Go(func() {
			if _, err := way[0].Write(data); err != nil {
				t.Error(err)
			}
			if err := way[0].(*net.TCPConn).CloseWrite(); err != nil {
				t.Error(err)
			}
		})
		group.Go(func() {
			if got, err := io.ReadAll(way[1]); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes arrive of %d, %v", len(got), len(data), err)
			}
		})
	}
	group.Wait()
}

func TestABreakOfOneSideEndsTheOther(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	s := serving(t, Options{}, Rule{Port: anyTCP, Target: g.address()})
	c := dial(t, "tcp", s.Addr(anyTCP))
	up := g.accept()
	must(t, up.(*net.TCPConn).SetLinger(0))
	must(t, up.Close())
	over(t, c)
	eventually(t, "nothing is open", func() bool { return active(t, s) == 0 })
}

func TestAnIdleConnectionIsCut(t *testing.T) { // G6
	t.Parallel()
	g := newTarget(t)
	s := serving(t, Options{}, Rule{Port: anyTCP, Target: g.address(), Idle: 40 * time.Millisecond})
	c := dial(t, "tcp", s.Addr(anyTCP))
	up := g.accept()
	over(t, c)
	over(t, up)
	eventually(t, "nothing is open", func() bool { return active(t, s) == 0 })
}

// G6: bytes in one direction keep both alive, however few they are.
func TestProgressOfEitherDirectionIsNotIdle(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	clients := newTarget(t)
	far := dial(t, "tcp", clients.address())
	up := dial(t, "tcp", g.address())
	near, behind := clients.accept(), g.accept()
	tunnel := &tunnel{client: near.(*net.TCPConn), target: up.(*net.TCPConn), idle: time.Hour, meter: newMeter(nil, anyTCP)}
	done := make(chan string)
	go func() { done <- tunnel.run() }()
	w := tunnel.watch()
	defer w.Stop()
	for range 5 { // each round comes close to the idle time
		for _, way := range [][2]net.Conn{{far, behind}, {behind, far}} {
			for range looks - 1 {
				w.look()
			}
			say(t, way[0], "x")
			hear(t, way[1], "x")
			w.look()
		}
	}
	if tunnel.cut.Load() {
		t.Fatal("it is cut")
	}
	for range 2 * looks { // what was acknowledged last may count for one more look
		w.look()
	}
	if reason := <-done; reason != endedIdle {
		t.Errorf("it ended for another reason: %s", reason)
	}
	over(t, far)
	over(t, behind)
}

func TestATargetThatCannotBeReachedIsToldAtOnce(t *testing.T) {
	t.Parallel()
	gone := newTarget(t)
	gone.l.Close()
	log := &lines{}
	s := serving(t, Options{Logger: log.logger()}, Rule{Port: anyTCP, Target: gone.address()})
	for range 3 {
		refused(t, s.Addr(anyTCP))
	}
	eventually(t, "three are refused", func() bool { return metric(t, s, "gateway_passthrough_refused_total", "target") == 3 })
	if n := strings.Count(log.String(), "a target cannot be reached"); n != 1 {
		t.Errorf("the log says it %d times:\n%s", n, log)
	}
}

func TestConnectionsAreLimited(t *testing.T) { // G6
	t.Parallel()
	g := newTarget(t)
	s := serving(t, Options{MaxConns: 2}, Rule{Port: anyTCP, Target: g.address()})
	first, second := dial(t, "tcp", s.Addr(anyTCP)), dial(t, "tcp", s.Addr(anyTCP))
	ups := []net.Conn{g.accept(), g.accept()}
	refused(t, s.Addr(anyTCP))
	if n := metric(t, s, "gateway_passthrough_refused_total", "limit"); n != 1 {
		t.Errorf("%v were refused", n)
	}
	first.Close()
	second.Close()
	for _, up := range ups {
		over(t, up)
		up.Close()
	}
	eventually(t, "there is room", func() bool { return active(t, s) == 0 })
	dial(t, "tcp", s.Addr(anyTCP))
	g.accept()
}

// A client is who the load balancer says, where one is trusted to say it.
func TestConnectionsOfAClientAreLimited(t *testing.T) { // H9
	t.Parallel()
	trusted, err := proxyprotocol.ParsePeers([]string{"127.0.0.1"})
	must(t, err)
	for name, rule := range map[string]Rule{"by address": {}, "by header": {Accept: trusted}} {
		g := newTarget(t)
		rule.Port, rule.Target, rule.MaxConns, rule.MaxClientConns = anyTCP, g.address(), 4, 1
		s := serving(t, Options{}, rule)
		from := func(client string) net.Conn {
			c := dial(t, "tcp", s.Addr(anyTCP))
			if rule.Accept != (proxyprotocol.Peers{}) {
				say(t, c, "PROXY TCP4 "+client+" 198.51.100.2 1 2\r\n")
			}
			return c
		}
		first := from("192.0.2.1")
		up := g.accept()
		if name == "by header" {
			over(t, from("192.0.2.1"))
		} else {
			refused(t, s.Addr(anyTCP))
		}
		if n := metric(t, s, "gateway_passthrough_refused_total", "client_limit"); n != 1 {
			t.Errorf("%s: %v were refused", name, n)
		}
		others := 0.0
		if name == "by header" {
			from("192.0.2.2")
			g.accept()
			others++
		}
		first.Close()
		over(t, up)
		up.Close()
		eventually(t, "there is room for the client", func() bool { return active(t, s) == others })
		from("192.0.2.1")
		g.accept()
	}
}

func TestTheTargetLearnsWhoTheClientIs(t *testing.T) {
	t.Parallel()
	for _, v := range []proxyprotocol.Version{proxyprotocol.V1, proxyprotocol.V2} {
		g := newTarget(t)
		s := serving(t, Options{}, Rule{Port: anyTCP, Target: g.address(), Send: v})
		c := dial(t, "tcp", s.Addr(anyTCP))
		say(t, c, "hello")
		up, err := proxyprotocol.Welcome(g.accept(), patience)
		if err != nil {
			t.Fatal(err)
		}
		if up.Header().Version != v || up.RemoteAddr().String() != c.LocalAddr().String() || up.LocalAddr().String() != c.RemoteAddr().String() {
			t.Errorf("version %d: from %v to %v", up.Header().Version, up.RemoteAddr(), up.LocalAddr())
		}
		hear(t, up, "hello")
	}
}

func TestTheHeaderOfATrustedLoadBalancerIsPassedOn(t *testing.T) { // G6
	t.Parallel()
	trusted, err := proxyprotocol.ParsePeers([]string{"127.0.0.1"})
	must(t, err)
	g := newTarget(t)
	s := serving(t, Options{}, Rule{Port: anyTCP, Target: g.address(), Accept: trusted, Send: proxyprotocol.V2})
	const header = "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"
	c := dial(t, "tcp", s.Addr(anyTCP))
	say(t, c, header+"with it")
	up, err := proxyprotocol.Welcome(g.accept(), patience)
	must(t, err)
	if up.RemoteAddr().String() != "192.0.2.1:56324" || up.LocalAddr().String() != "198.51.100.2:443" {
		t.Errorf("from %v to %v", up.RemoteAddr(), up.LocalAddr())
	}
	say(t, c, ", and later")
	hear(t, up, "with it, and later")

	bad := dial(t, "tcp", s.Addr(anyTCP))
	say(t, bad, "no header")
	over(t, bad)
	eventually(t, "one is refused", func() bool { return metric(t, s, "gateway_passthrough_refused_total", "proxy_protocol") == 1 })
}

// G6: nobody else chooses an address.
func TestAHeaderOfSomebodyElseIsData(t *testing.T) {
	t.Parallel()
	trusted, err := proxyprotocol.ParsePeers([]string{"10.0.0.0/8"})
	must(t, err)
	g := newTarget(t)
	s := serving(t, Options{}, Rule{Port: anyTCP, Target: g.address(), Accept: trusted})
	c := dial(t, "tcp", s.Addr(anyTCP))
	say(t, c, "PROXY UNKNOWN\r\n")
	hear(t, g.accept(), "PROXY UNKNOWN\r\n")
}

// G6: errors of accepting do not spin.
func TestErrorsOfAcceptingAreTriedAgainWithPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(Options{})
		defer s.Close()
		broken := &exhausted{closed: make(chan struct{})}
		a := &acceptor{port: &port{server: s, key: anyTCP}, inner: broken}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := a.serve(ctx); err != nil {
			t.Error(err)
		}
		if broken.calls < 10 || broken.calls > 80 {
			t.Errorf("%d attempts in a minute", broken.calls)
		}
	})
}

// exhausted is a listener that has no file descriptors left.
type exhausted struct {
	calls  int
	once   sync.Once
	closed chan struct{}
}

func (e *exhausted) Accept() (net.Conn, error) {
	e.calls++
	return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
}
func (e *exhausted) Close() error   { e.once.Do(func() { close(e.closed) }); return nil }
func (e *exhausted) Addr() net.Addr { return &net.TCPAddr{} }

func TestABrokenListenerIsReportedAndTakenAgain(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	changed := make(chan struct{}, 16)
	s := serving(t, Options{Changed: func() { changed <- struct{}{} }}, Rule{Port: anyTCP, Target: g.address(), Field: "here"})
	s.ports[anyTCP].listener.release() // as if it were closed behind our back
	<-changed
	if p := s.Problems(); len(p) != 1 || p[0].Field != "here.port" {
		t.Fatalf("problems %v", p)
	}
	<-changed
	if p := s.Problems(); len(p) != 0 {
		t.Fatalf("problems %v", p)
	}
	c := dial(t, "tcp", s.Addr(anyTCP))
	say(t, c, "again")
	hear(t, g.accept(), "again")
}

func TestResolveSendsConnectionsElsewhere(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	s := serving(t, Options{Resolve: map[string]string{"db.default.svc:5432": g.address()}}, Rule{Port: anyTCP, Target: "db.default.svc:5432"})
	say(t, dial(t, "tcp", s.Addr(anyTCP)), "hello")
	hear(t, g.accept(), "hello")
}

func TestPanicsStayInTheirConnection(t *testing.T) { // E5
	t.Parallel()
	log := &lines{}
	s := NewServer(Options{Logger: log.logger()})
	defer s.Close()
	p := &port{server: s, key: anyTCP}
	func() {
		defer p.guard()
		panic(errors.New("a mistake of ours"))
	}()
	if !strings.Contains(log.String(), "a mistake of ours") {
		t.Errorf("the log says:\n%s", log)
	}
}
