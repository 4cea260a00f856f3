// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// gate holds requests for /hold until it is opened.
type gate struct{ entered, open chan struct{} }

func newGate() *gate { return &gate{entered: make(chan struct{}, 100), open: make(chan struct{})} }

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/hold" {
		g.entered <- struct{}{}
		<-g.open
	}
	_, _ = io.WriteString(w, "done")
}

// refused waits until no new connection is taken.
func (s *serving) refused() {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		c, err := net.Dial("tcp", s.Addr().String()) //nolint:noctx // a test
		if err != nil {
			return
		}
		_ = c.Close()
		if time.Now().After(deadline) {
			s.t.Fatal("new connections are still taken")
		}
	}
}

func TestADrainCutsNoRequest(t *testing.T) { // E1
	t.Parallel()
	for name, c := range map[string]struct {
		secure bool
		over   func(*http.Protocols)
	}{
		"HTTP/1.1": {false, overHTTP1}, "HTTP/2 without TLS": {false, overH2C},
		"HTTP/1.1 with TLS": {true, overHTTP1}, "HTTP/2": {true, overHTTP2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate()
			o, scheme := Options{}, "http://"
			if c.secure {
				o.TLS, scheme = secured(t), "https://"
			}
			s := serve(t, o, g.ServeHTTP)
			client := s.client(c.over)
			var running sync.WaitGroup
			for range 3 {
				running.Go(func() {
					resp, err := client.Get(scheme + s.Addr().String() + "/hold")
					if err != nil {
						t.Error(err)
						return
					}
					body, err := io.ReadAll(resp.Body)
					_ = resp.Body.Close()
					if string(body) != "done" || err != nil {
						t.Errorf("%q, %v", body, err)
					}
				})
			}
			for range 3 {
				<-g.entered
			}
			drained := make(chan error, 1)
			go func() { drained <- s.Drain(context.Background()) }()
			s.refused()
			select {
			case err := <-drained:
				t.Fatalf("the drain ended, with %v, before the requests", err)
			default:
			}
			close(g.open)
			running.Wait()
			if err := <-drained; err != nil {
				t.Errorf("Drain: %v", err)
			}
		})
	}
}

func TestARetiredEntryPointServesAndSendsClientsAway(t *testing.T) { // E1
	t.Parallel()
	g := newGate()
	s := serve(t, Options{}, g.ServeHTTP)
	before, running := s.dial(), s.dial()
	fromBefore, fromRunning := bufio.NewReader(before), bufio.NewReader(running)
	_, _ = io.WriteString(before, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if s.answer(fromBefore, "GET").Close {
		t.Error("an entry point at work closes connections")
	}
	_, _ = io.WriteString(running, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n")
	<-g.entered
	s.Retire()
	close(g.open)
	if resp := s.answer(fromRunning, "GET"); resp.StatusCode != 200 || !resp.Close {
		t.Errorf("the request that ran: %d, closing %v", resp.StatusCode, resp.Close)
	}
	_, _ = io.WriteString(before, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if resp := s.answer(fromBefore, "GET"); resp.StatusCode != 200 || !resp.Close {
		t.Errorf("the connection of before: %d, closing %v", resp.StatusCode, resp.Close)
	}
	if resp := s.raw("GET / HTTP/1.1\r\nHost: h\r\n\r\n"); resp.StatusCode != 200 || !resp.Close {
		t.Errorf("a new connection: %d, closing %v", resp.StatusCode, resp.Close)
	}
	f := s.frames()
	status := f.ask(":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/")
	if status != "200" && status != "goaway" {
		t.Errorf("a new HTTP/2 connection: %s", status)
	}
	for status != "goaway" {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatalf("no GOAWAY: %v", err)
		}
		if away, ok := frame.(*http2.GoAwayFrame); ok {
			if status = "goaway"; away.ErrCode != http2.ErrCodeNo {
				t.Errorf("GOAWAY with %v", away.ErrCode)
			}
		}
	}
}

// echoTunnel upgrades, and echoes until the client has ended.
func echoTunnel(w http.ResponseWriter, _ *http.Request) {
	c, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotImplemented)
		return
	}
	defer c.Close() //nolint:errcheck // a test
	_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	_, _ = io.Copy(c, buffered)
}

func (s *serving) upgrade() (net.Conn, *bufio.Reader) {
	s.t.Helper()
	c := s.dial()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	from := bufio.NewReader(c)
	resp, err := http.ReadResponse(from, nil)
	if err != nil || resp.StatusCode != 101 {
		s.t.Fatalf("%v %v", resp, err)
	}
	return c, from
}

func TestADrainWaitsForTunnels(t *testing.T) { // E1
	t.Parallel()
	s := serve(t, Options{}, echoTunnel)
	c, from := s.upgrade()
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(context.Background()) }()
	s.refused()
	_, _ = io.WriteString(c, "still here\n")
	if line, err := from.ReadString('\n'); line != "still here\n" {
		t.Errorf("%q, %v", line, err)
	}
	select {
	case err := <-drained:
		t.Fatalf("the drain ended, with %v, before the tunnel", err)
	default:
	}
	_ = c.Close()
	if err := <-drained; err != nil {
		t.Errorf("Drain: %v", err)
	}
}

func TestADrainEndsWhenItsTimeIsUpAndCloseEndsTheRest(t *testing.T) { // E1
	t.Parallel()
	var ended sync.WaitGroup
	ended.Add(1)
	g := newGate()
	s := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			defer ended.Done()
			g.entered <- struct{}{}
			<-r.Context().Done()
			return
		}
		echoTunnel(w, r)
	})
	_, tunnel := s.upgrade()
	request := s.dial()
	_, _ = io.WriteString(request, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n")
	<-g.entered
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := s.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Drain: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	ended.Wait()
	if rest, err := io.ReadAll(tunnel); len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
	again, err := Listen(Options{Address: s.Addr().String()})
	if err != nil {
		t.Fatalf("the port is not given back: %v", err)
	}
	_ = again.Close()
}

func TestADrainWithTunnelsIsBounded(t *testing.T) { // E1
	t.Parallel()
	s := serve(t, Options{}, echoTunnel)
	s.upgrade()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := s.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Drain: %v", err)
	}
}

func TestNothingOfAnUpgradeIsOfferedOverHTTP2(t *testing.T) { // G3
	t.Parallel()
	s := serve(t, Options{}, echoTunnel)
	if got := s.frames().ask(":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/"); got != "501" {
		t.Errorf("%s", got)
	}
	if err := s.Drain(context.Background()); err != nil {
		t.Errorf("an upgrade that failed is waited for: %v", err)
	}
}

func TestAnEntryPointThatNeverServedCloses(t *testing.T) {
	t.Parallel()
	e, err := Listen(Options{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.Drain(context.Background()), e.Close(), e.Close()); err != nil {
		t.Error(err)
	}
}

func TestAnAnswerMayComeWhileItsRequestIsStillSent(t *testing.T) { // H7, H11
	t.Parallel()
	s := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 5))
		_, _ = io.WriteString(w, "early")
		_ = http.NewResponseController(w).Flush()
		rest, _ := io.ReadAll(r.Body)
		_, _ = w.Write(rest)
	})
	c := s.dial()
	_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 5)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "early" || !resp.Close {
		t.Errorf("%q, closing %v, %v", first, resp.Close, err)
	}
	_, _ = io.WriteString(c, "4\r\nlast\r\n0\r\n\r\n")
	if rest, err := io.ReadAll(resp.Body); string(rest) != "last" || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestWhatIsLeftOfABodyIsNeverTakenForARequest(t *testing.T) { // H4
	t.Parallel()
	var paths []string
	var mu sync.Mutex
	s := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		paths = append(paths, r.URL.Path)
		mu.Unlock()
		if r.URL.Path == "/part" {
			_, _ = r.Body.Read(make([]byte, 1))
		}
		w.WriteHeader(http.StatusForbidden)
	})
	smuggled := "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, path := range []string{"/part", "/none", "/.."} {
		for _, late := range []bool{false, true} {
			c := s.dial()
			from := bufio.NewReader(c)
			head := "POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 35\r\n\r\n"
			if late {
				_, _ = io.WriteString(c, head+smuggled[:1])
				var sending sync.WaitGroup
				sending.Go(func() { _, _ = io.WriteString(c, smuggled[1:]) })
				s.answer(from, "POST")
				sending.Wait()
			} else {
				_, _ = io.WriteString(c, head+smuggled)
				s.answer(from, "POST")
			}
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, from)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if all := strings.Join(paths, " "); strings.Contains(all, "/smuggled") || len(paths) != 4 {
		t.Errorf("%s", all)
	}
}

func TestABodyThatNobodyReadCostsNoConnection(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	c := s.dial()
	from := bufio.NewReader(c)
	for range 3 {
		_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345")
		if resp := s.answer(from, "POST"); resp.StatusCode != 401 || resp.Close {
			t.Errorf("%d, closing %v", resp.StatusCode, resp.Close)
		}
	}
}

func TestAConnectionThatIsYoungWhenADrainBeginsDoesNotHoldIt(t *testing.T) { // E1
	t.Parallel()
	s := serve(t, Options{}, ok)
	silent, quick := s.dial(), s.dial()
	s.raw("GET / HTTP/1.1\r\nHost: h\r\n\r\n") // so the ones before were taken as well
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(context.Background()) }()
	s.refused()
	_, _ = io.WriteString(quick, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if resp := s.answer(bufio.NewReader(quick), "GET"); resp.StatusCode != 200 || !resp.Close {
		t.Errorf("a request that was on its way: %d, closing %v", resp.StatusCode, resp.Close)
	}
	if n, err := silent.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("%d, %v", n, err)
	}
	if err := <-drained; err != nil {
		t.Errorf("Drain: %v", err)
	}
}
