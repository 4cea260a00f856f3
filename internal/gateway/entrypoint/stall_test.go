// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener of connections in memory. They block a writer until its
// bytes are read, and their deadlines follow the clock of a synctest bubble.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	ended chan struct{}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.ended:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	l.once.Do(func() { close(l.ended) })
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipes) dial() net.Conn {
	client, server := net.Pipe()
	l.conns <- server
	return client
}

// inMemory runs a test in a bubble with an entry point, and ends all of it.
func inMemory(t *testing.T, o Options, h http.HandlerFunc, test func(t *testing.T, dial func() net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Handler, o.Address = h, "127.0.0.1:0"
		e, err := Listen(o)
		if err != nil {
			t.Fatal(err)
		}
		_ = e.listener.Close()
		l := &pipes{conns: make(chan net.Conn), ended: make(chan struct{})}
		e.listener = l
		var serving sync.WaitGroup
		serving.Go(func() { _ = e.Serve() })
		test(t, l.dial)
		_ = e.Close()
		serving.Wait()
	})
}

// untilEnd reads until the server ends the connection.
func untilEnd(c net.Conn) (got string, took time.Duration) {
	began := time.Now()
	all, _ := io.ReadAll(c)
	return string(all), time.Since(began)
}

func readAll(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.WriteHeader(http.StatusRequestTimeout)
		return
	}
	_, _ = fmt.Fprintf(w, "%d bytes, %v", n, err)
}

func TestAClientThatStallsIsCutAtEveryStep(t *testing.T) { // H9
	t.Parallel()
	post := "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n"
	for _, c := range []struct {
		name, sends string
		within      time.Duration
		answer      string
	}{
		{"says nothing", "", headerTimeout, ""},
		{"half a preface of HTTP/2", "PRI * HTTP/2.0\r\n", headerTimeout, ""},
		{"half a request line", "GET / HT", headerTimeout, "408"},
		{"half a head", "GET / HTTP/1.1\r\nHost: h\r\nA: ", headerTimeout, "408"},
		{"no body", post, progressTimeout, "408"},
		{"half a body", post + "12345", progressTimeout, "408"},
		{"no next request", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", idleTimeout, "200"},
		{"half a next request", "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /", idleTimeout, "200"},
		{"a body that is refused anyway", strings.Replace(post, "/", "/..", 1), 7 * time.Second, "400"},
		{"a body that nobody reads", strings.Replace(post, "/", "/unread", 1), 7 * time.Second, "200"},
		{"the rest of a body", strings.Replace(post, "/", "/some", 1) + "12345", 7 * time.Second, "200"},
		{"a chunk", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123", progressTimeout, "408"},
		{"a body after 100", "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n", progressTimeout, "100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inMemory(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/unread":
				case "/some":
					_, _ = io.ReadFull(r.Body, make([]byte, 3))
				default:
					readAll(w, r)
				}
			}, func(t *testing.T, dial func() net.Conn) {
				conn := dial()
				var sending sync.WaitGroup
				sending.Go(func() { _, _ = io.WriteString(conn, c.sends) })
				got, took := untilEnd(conn)
				if _, status, _ := strings.Cut(got, " "); took > c.within+time.Second || !strings.HasPrefix(status, c.answer) || c.answer == "" && got != "" {
					t.Errorf("%q after %v; want %q within %v", got, took, c.answer, c.within)
				}
				_ = conn.Close()
				sending.Wait()
			})
		})
	}
}

func TestAHandshakeThatStallsIsCut(t *testing.T) { // H9
	t.Parallel()
	secure := secured(t)
	for _, sends := range []string{"", "\x16\x03\x01\x02\x00\x01"} {
		inMemory(t, Options{TLS: secure}, ok, func(t *testing.T, dial func() net.Conn) {
			conn := dial()
			var sending sync.WaitGroup
			sending.Go(func() { _, _ = io.WriteString(conn, sends) })
			if got, took := untilEnd(conn); got != "" || took > headerTimeout {
				t.Errorf("%q after %v", got, took)
			}
			sending.Wait()
		})
	}
}

func TestAnHTTP2ConnectionThatStallsIsCut(t *testing.T) { // H9
	t.Parallel()
	inMemory(t, Options{}, ok, func(t *testing.T, dial func() net.Conn) {
		conn := dial()
		var sending sync.WaitGroup
		sending.Go(func() { _, _ = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04") })
		if _, took := untilEnd(conn); took > idleTimeout {
			t.Errorf("held for %v", took)
		}
		sending.Wait()
	})
}

func TestAnAnswerThatNobodyTakesIsCut(t *testing.T) { // H9, H10
	t.Parallel()
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		var failed chan error
		h := func(w http.ResponseWriter, _ *http.Request) {
			began := time.Now()
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					if time.Since(began) > progressTimeout+time.Second {
						err = fmt.Errorf("only after %v", time.Since(began))
					}
					failed <- err
					return
				}
			}
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inMemory(t, Options{}, h, func(t *testing.T, dial func() net.Conn) {
				failed = make(chan error, 1) // of the bubble
				client, transport := clientOver(dial, h2)
				resp, err := client.Get("http://h/")
				if err != nil {
					t.Fatal(err)
				}
				if err := <-failed; err == nil || strings.HasPrefix(err.Error(), "only") {
					t.Errorf("the handler got %v", err)
				}
				_ = resp.Body.Close()
				transport.CloseIdleConnections()
			})
		})
	}
}

func clientOver(dial func() net.Conn, h2 bool) (*http.Client, *http.Transport) {
	var p http.Protocols
	p.SetHTTP1(!h2)
	p.SetUnencryptedHTTP2(h2)
	transport := &http.Transport{
		Protocols: &p, DisableCompression: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return dial(), nil },
	}
	return &http.Client{Transport: transport}, transport
}

func TestATransferThatMovesIsNeverCut(t *testing.T) { // H10
	t.Parallel()
	const steps, pause = 120, 50 * time.Second // an hour and forty minutes
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run("upload over "+name, func(t *testing.T) {
			t.Parallel()
			inMemory(t, Options{}, readAll, func(t *testing.T, dial func() net.Conn) {
				client, transport := clientOver(dial, h2)
				req, _ := http.NewRequest(http.MethodPost, "http://h/", &slow{steps: steps, pause: pause, size: 16 << 10}) //nolint:noctx // a test
				req.ContentLength = steps * 16 << 10
				expectBody(t, client, req, fmt.Sprintf("%d bytes, <nil>", steps*16<<10))
				transport.CloseIdleConnections()
			})
		})
		t.Run("stream of small pieces over "+name, func(t *testing.T) {
			t.Parallel()
			inMemory(t, Options{}, readAll, func(t *testing.T, dial func() net.Conn) {
				client, transport := clientOver(dial, h2)
				req, _ := http.NewRequest(http.MethodPost, "http://h/", &slow{steps: steps, pause: pause, size: 60}) //nolint:noctx // a test
				expectBody(t, client, req, fmt.Sprintf("%d bytes, <nil>", steps*60))
				transport.CloseIdleConnections()
			})
		})
		t.Run("events with long pauses over "+name, func(t *testing.T) {
			t.Parallel()
			inMemory(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
				for range 5 {
					_, _ = io.WriteString(w, "event\n")
					_ = http.NewResponseController(w).Flush()
					time.Sleep(time.Hour)
				}
			}, func(t *testing.T, dial func() net.Conn) {
				client, transport := clientOver(dial, h2)
				req, _ := http.NewRequest(http.MethodGet, "http://h/", nil) //nolint:noctx // a test
				expectBody(t, client, req, strings.Repeat("event\n", 5))
				transport.CloseIdleConnections()
			})
		})
		t.Run("a backend that thinks long over "+name, func(t *testing.T) {
			t.Parallel()
			inMemory(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(time.Hour)
				_, _ = io.ReadFull(r.Body, make([]byte, 1000))
				time.Sleep(time.Hour)
				readAll(w, r)
			}, func(t *testing.T, dial func() net.Conn) {
				client, transport := clientOver(dial, h2)
				req, _ := http.NewRequest(http.MethodPost, "http://h/", strings.NewReader(strings.Repeat("x", 50_000))) //nolint:noctx // a test
				expectBody(t, client, req, "49000 bytes, <nil>")
				transport.CloseIdleConnections()
			})
		})
		t.Run("a slow reader over "+name, func(t *testing.T) {
			t.Parallel()
			const size = 4 << 20
			inMemory(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
				for range size >> 10 {
					if _, err := w.Write(make([]byte, 1<<10)); err != nil {
						t.Errorf("cut: %v", err)
						return
					}
				}
			}, func(t *testing.T, dial func() net.Conn) {
				client, transport := clientOver(dial, h2)
				resp, err := client.Get("http://h/")
				if err != nil {
					t.Fatal(err)
				}
				got, chunk := 0, make([]byte, 64<<10)
				for {
					n, err := io.ReadFull(resp.Body, chunk)
					if got += n; err != nil {
						break
					}
					time.Sleep(pause)
				}
				if got != size {
					t.Errorf("%d of %d bytes", got, size)
				}
				_ = resp.Body.Close()
				transport.CloseIdleConnections()
			})
		})
	}
}

func expectBody(t *testing.T, client *http.Client, req *http.Request, want string) {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || string(body) != want {
		t.Errorf("%d %q, %v; want %q", resp.StatusCode, body, err, want)
	}
}

// slow is a body that comes in pieces.
type slow struct {
	steps, size int
	pause       time.Duration
	// stop, if set, ends the pauses.
	stop chan struct{}
}

func (s *slow) Read(p []byte) (int, error) {
	if s.steps == 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(s.pause):
	case <-s.stop:
		return 0, io.ErrUnexpectedEOF
	}
	s.steps--
	return min(s.size, len(p)), nil
}

func TestAClientThatTricklesIsCut(t *testing.T) { // H10
	t.Parallel()
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		for kind, length := range map[string]int64{"a declared length": 1000, "no declared length": -1} {
			t.Run(name+" with "+kind, func(t *testing.T) {
				t.Parallel()
				var cut chan time.Duration
				inMemory(t, Options{}, func(_ http.ResponseWriter, r *http.Request) {
					began := time.Now()
					_, err := io.Copy(io.Discard, r.Body)
					if errors.Is(err, os.ErrDeadlineExceeded) {
						cut <- time.Since(began)
					} else {
						cut <- 0
					}
				}, func(t *testing.T, dial func() net.Conn) {
					cut = make(chan time.Duration, 1) // of the bubble
					client, transport := clientOver(dial, h2)
					body := &slow{steps: 1000, pause: 20 * time.Second, size: 1, stop: make(chan struct{})}
					req, _ := http.NewRequest(http.MethodPost, "http://h/", body) //nolint:noctx // a test
					req.ContentLength = length
					if resp, err := client.Do(req); err == nil {
						_ = resp.Body.Close()
					}
					if took := <-cut; took == 0 || took > 2*progressTimeout {
						t.Errorf("cut after %v", took)
					}
					close(body.stop)
					transport.CloseIdleConnections()
				})
			})
		}
	}
}

func TestASilentCallIsNotCut(t *testing.T) { // G3, H10
	t.Parallel()
	inMemory(t, Options{}, readAll, func(t *testing.T, dial func() net.Conn) {
		client, transport := clientOver(dial, true)
		req, _ := http.NewRequest(http.MethodPost, "http://h/", &slow{steps: 2, pause: 5 * time.Hour, size: 5}) //nolint:noctx // a test
		req.Header.Set("Content-Type", "application/grpc+proto")
		expectBody(t, client, req, "10 bytes, <nil>")
		transport.CloseIdleConnections()
	})
}

func TestATunnelMayBeSilent(t *testing.T) { // H10
	t.Parallel()
	inMemory(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
		c, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close() //nolint:errcheck // a test
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		line, err := buffered.ReadString('\n')
		_, _ = io.WriteString(c, fmt.Sprintf("%q %v", line, err))
	}, func(t *testing.T, dial func() net.Conn) {
		c := dial()
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		from := bufio.NewReader(c)
		if _, err := http.ReadResponse(from, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(12 * time.Hour)
		_, _ = io.WriteString(c, "hello\n")
		if got, _ := io.ReadAll(from); string(got) != `"hello\n" <nil>` {
			t.Errorf("%s", got)
		}
	})
}

func TestAReaderThatOutlivesItsHandlerTouchesNoOtherRequest(t *testing.T) { // H12
	t.Parallel()
	bodies := make(chan io.Reader, 2)
	s := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		bodies <- r.Body
		_, _ = io.WriteString(w, r.URL.Path)
	})
	c := s.dial()
	answers := bufio.NewReader(c)
	for _, path := range []string{"/a", "/b"} {
		_, _ = io.WriteString(c, "POST "+path+" HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nxy")
		if got := text(s.answer(answers, "POST")); got != path {
			t.Errorf("%s is answered with %s", path, got)
		}
	}
	if n, err := (<-bodies).Read(make([]byte, 1)); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("%d, %v", n, err)
	}
}
