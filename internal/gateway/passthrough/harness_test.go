// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package passthrough

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"gateway.jkaninda.dev/goma/internal/gateway/counter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is for what must happen; nothing waits for it to pass.
const patience = 30 * time.Second

var (
	anyTCP = Port{"tcp", 0}
	anyUDP = Port{"udp", 0}
)

// serving runs a server on loopback until the end of the test.
func serving(t *testing.T, o Options, rules ...Rule) *Server {
	t.Helper()
	o.Host, o.Counters = "127.0.0.1", counter.New()
	s := NewServer(o)
	t.Cleanup(s.Close)
	for i := range rules {
		rules[i].Idle = orDefault(rules[i].Idle, time.Hour)
	}
	s.Set(rules)
	return s
}

func dial(t *testing.T, network, address string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	must(t, c.SetDeadline(time.Now().Add(patience)))
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func say(t *testing.T, c io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, c io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(c, b); err != nil || string(b) != want {
		t.Fatalf("%q arrives instead of %q, %v", b[:n], want, err)
	}
}

// over fails unless the other side has ended the connection without a word.
func over(t *testing.T, c net.Conn) {
	t.Helper()
	n, err := c.Read(make([]byte, 1))
	var network net.Error
	if n > 0 || err == nil || isTimeout(err, &network) {
		t.Errorf("the connection is not over: %d bytes, %v", n, err)
	}
}

// refused connects and is told at once, perhaps even before it knows that it is
// connected.
func refused(t *testing.T, address string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if errors.Is(err, syscall.ECONNRESET) {
		return
	}
	must(t, err)
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(patience)))
	over(t, c)
}

func isTimeout(err error, network *net.Error) bool {
	e, ok := err.(net.Error) //nolint:errorlint // as connections give it
	if ok {
		*network = e
	}
	return ok && e.Timeout()
}

// target is a TCP server whose connections the test handles.
type target struct {
	t *testing.T
	l net.Listener
}

func newTarget(t *testing.T) *target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return &target{t, l}
}

func (g *target) address() string { return g.l.Addr().String() }

func (g *target) accept() net.Conn {
	g.t.Helper()
	must(g.t, g.l.(*net.TCPListener).SetDeadline(time.Now().Add(patience)))
	c, err := g.l.Accept()
	must(g.t, err)
	g.t.Cleanup(func() { c.Close() })
	must(g.t, c.SetDeadline(time.Now().Add(patience)))
	return c
}

// echoUDP answers each datagram with a name and what it was, until the test ends.
func echoUDP(t *testing.T, name, at string) string {
	t.Helper()
	c, err := net.ListenPacket("udp", at)
	must(t, err)
	done := make(chan struct{})
	t.Cleanup(func() { c.Close(); <-done })
	go func() {
		defer close(done)
		b := make([]byte, maxDatagram)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(append([]byte(name), b[:n]...), from)
		}
	}()
	return c.LocalAddr().String()
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !so(); {
		if time.Now().After(limit) {
			t.Fatalf("it never happens that %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// metric gives the value of a series of the first port that has it.
func metric(t *testing.T, s *Server, name string, labels ...string) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.o.Counters)
	families, err := registry.Gather()
	must(t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if has(m, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

func has(m *dto.Metric, values []string) bool {
	for _, v := range values {
		found := false
		for _, l := range m.GetLabel() {
			found = found || l.GetValue() == v
		}
		if !found {
			return false
		}
	}
	return true
}

func active(t *testing.T, s *Server) float64 {
	t.Helper()
	return metric(t, s, "gateway_passthrough_connections_active")
}
