// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

// script is a backend that answers each request with the next of some texts, and
// tells how many connections it has seen.
type script struct {
	address string
	conns   atomic.Int32
}

func play(t *testing.T, answers ...string) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{address: "http://" + l.Addr().String()}
	var group sync.WaitGroup
	var turn atomic.Int32
	t.Cleanup(func() { _ = l.Close(); group.Wait() })
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			group.Go(func() {
				defer c.Close() //nolint:errcheck // a test
				for in := bufio.NewReader(c); ; {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					_, _ = io.WriteString(c, answers[int(turn.Add(1)-1)%len(answers)])
				}
			})
		}
	})
	return s
}

const plainAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestAConnectionIsKeptOnlyWhenNothingIsLeftOnIt(t *testing.T) { // H4, H6
	t.Parallel()
	for name, c := range map[string]struct {
		answer string
		kept   bool
	}{
		"a whole answer":                    {plainAnswer, true},
		"a chunked answer":                  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true},
		"an answer without a body":          {"HTTP/1.1 204 No Content\r\n\r\n", true},
		"a last answer":                     {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false},
		"an answer of HTTP/1.0":             {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
		"bytes behind the answer":           {plainAnswer + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", false},
		"a body where there can be none":    {"HTTP/1.1 204 No Content\r\n\r\nok", false},
		"an answer that asks to keep-alive": {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := play(t, c.answer)
			cluster := acquire(t, registry(t, Settings{}), target(s.address))
			for range 3 {
				if _, body, err := ask(t, cluster); err != nil || body != "ok" && body != "" {
					t.Fatalf("%q, %v", body, err)
				}
			}
			if kept := s.conns.Load() == 1; kept != c.kept {
				t.Errorf("%d connections for three requests", s.conns.Load())
			}
		})
	}
}

func TestWhatComesOnAnIdleConnectionIsNobodysAnswer(t *testing.T) { // H6
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // a test
	late := make(chan struct{})
	go func() {
		for first := true; ; first = false {
			c, err := l.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(c)
			_, _ = http.ReadRequest(in)
			_, _ = io.WriteString(c, plainAnswer)
			if first {
				<-late
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
				late <- struct{}{}
			}
		}
	}()
	cluster := acquire(t, registry(t, Settings{}), target("http://"+l.Addr().String()))
	if _, _, err := ask(t, cluster); err != nil {
		t.Fatal(err)
	}
	late <- struct{}{}
	<-late
	conns := cluster.endpoints[0].conns
	eventually(t, "the bytes have come", func() bool { return !conns.idle[0].socket.alive() })
	if _, body, err := ask(t, cluster); err != nil || body != "ok" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestTheQueueForConnectionsIsBounded(t *testing.T) { // U8
	t.Parallel()
	release := make(chan struct{})
	held := make(chan struct{}, 1)
	s := server(t, func(http.ResponseWriter, *http.Request) {
		select {
		case held <- struct{}{}:
			<-release
		default:
		}
	})
	g := registry(t, Settings{Networking: config.Networking{Transport: config.Transport{MaxConnsPerHost: new(1)}}})
	c := acquire(t, g, target(s.URL))
	var group sync.WaitGroup
	ok := atomic.Int32{}
	run := func() {
		if _, _, err := ask(t, c); err == nil {
			ok.Add(1)
		} else {
			t.Error(err)
		}
	}
	group.Go(run)
	<-held
	for range waitersPerConn {
		group.Go(run)
	}
	conns := c.endpoints[0].conns
	queued := func() int {
		conns.mu.Lock()
		defer conns.mu.Unlock()
		return len(conns.waiting)
	}
	eventually(t, "the queue is full", func() bool { return queued() == waitersPerConn })
	if _, _, err := ask(t, c); !errors.Is(err, ErrBusy) {
		t.Errorf("one too many: %v", err)
	}
	close(release)
	group.Wait()
	if n := ok.Load(); n != waitersPerConn+1 {
		t.Errorf("%d requests were served", n)
	}
}

func TestAClientThatGoesLeavesTheQueue(t *testing.T) { // H11, U8
	t.Parallel()
	s := play(t, plainAnswer)
	g := registry(t, Settings{Networking: config.Networking{Transport: config.Transport{MaxConnsPerHost: new(1)}}})
	e := acquire(t, g, target(s.address)).endpoints[0]
	first, err := e.Connect(&exchange.Interest{}, time.Now(), false)
	if err != nil {
		t.Fatal(err)
	}
	i := &exchange.Interest{}
	waited := make(chan error, 1)
	go func() {
		_, err := e.Connect(i, time.Now(), false)
		waited <- err
	}()
	eventually(t, "it waits", func() bool {
		e.conns.mu.Lock()
		defer e.conns.mu.Unlock()
		return len(e.conns.waiting) == 1
	})
	i.Lose(exchange.ErrClientGone)
	if err := <-waited; !errors.Is(err, exchange.ErrClientGone) {
		t.Errorf("%v", err)
	}
	first.Drop()
	second, err := e.Connect(&exchange.Interest{}, time.Now(), false)
	if err != nil {
		t.Fatal(err)
	}
	second.Drop()
}

func TestAConnectionInUseIsCutWhenItsClientGoes(t *testing.T) { // H11
	t.Parallel()
	arrived := make(chan struct{})
	s := server(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	c := acquire(t, registry(t, Settings{}), target(s.URL))
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, _, err := overConn(ctx, c.endpoints[0], http.MethodGet, "", nil)
		failed <- err
	}()
	<-arrived
	cancel()
	if err := <-failed; err == nil {
		t.Error("the request was answered")
	}
}

func TestIdleConnectionsEndInTime(t *testing.T) { // U1
	t.Parallel()
	s := play(t, plainAnswer)
	c := acquire(t, registry(t, Settings{}), target(s.address))
	conns := c.endpoints[0].conns
	conns.idleTimeout = 20 * time.Millisecond
	if _, _, err := ask(t, c); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the connection has ended", func() bool {
		conns.mu.Lock()
		defer conns.mu.Unlock()
		return conns.open == 0 && len(conns.idle) == 0 && conns.idleTotal.Load() == 0
	})
}

func BenchmarkConn(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // a benchmark
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		buffer := make([]byte, 4096)
		for {
			if _, err := c.Read(buffer); err != nil {
				return
			}
			if _, err := io.WriteString(c, plainAnswer); err != nil {
				return
			}
		}
	}()
	p := NewRegistry(Settings{}, pool.New())
	c, problems := p.Acquire(target("http://" + l.Addr().String()))
	if c == nil {
		b.Fatal(problems)
	}
	defer c.Release()
	i := &exchange.Interest{}
	b.ReportAllocs()
	for b.Loop() {
		conn, err := c.endpoints[0].Connect(i, time.Now(), false)
		if err != nil {
			b.Fatal(err)
		}
		conn.Out = append(conn.Out[:0], "GET / HTTP/1.1\r\nHost: a\r\n\r\n"...)
		if err := conn.Send(time.Now(), true); err != nil {
			b.Fatal(err)
		}
		if err := conn.ReadHead(http.MethodGet); err != nil {
			b.Fatal(err)
		}
		if _, ok := conn.Body.Whole(); !ok {
			b.Fatal("the body has not come")
		}
		conn.Release()
	}
}
