// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package downstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gateway.jkaninda.dev/goma/internal/gateway/http1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// remote is a client's connection without a network: what it sends is there from the
// start, then comes more, or its end.
type remote struct {
	net.Conn // nil: nothing else is called

	in     io.Reader
	out    bytes.Buffer
	writes []int
	// moved, if set, is told of each read deadline before it holds.
	moved func(time.Time)

	mu sync.Mutex

	past chan struct{} // closed while the read deadline is past
}

func sends(text string) *remote { return &remote{in: strings.NewReader(text)} }

func (r *remote) Read(p []byte) (int, error) { return r.in.Read(p) }

func (r *remote) Write(p []byte) (int, error) {
	r.writes = append(r.writes, len(p))
	return r.out.Write(p)
}

func (r *remote) Close() error                       { return nil }
func (r *remote) RemoteAddr() net.Addr               { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7} }
func (r *remote) SetWriteDeadline(_ time.Time) error { return nil }

func (r *remote) SetReadDeadline(at time.Time) error {
	if r.moved != nil {
		r.moved(at)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.past == nil {
		return nil
	}
	select {
	case <-r.past:
		if time.Until(at) > 0 {
			r.past = make(chan struct{})
		}
	default:
		if time.Until(at) <= 0 {
			close(r.past)
		}
	}
	return nil
}

// silent gives nothing until the read deadline is past.
type silent struct{ r *remote }

func (s silent) Read([]byte) (int, error) {
	s.r.mu.Lock()
	past := s.r.past
	s.r.mu.Unlock()
	<-past
	return 0, os.ErrDeadlineExceeded
}

// serving makes a server of a handler, whose requests have the target that came.
func serving(h http.HandlerFunc) *Server {
	return NewServer(Options{Serve: func(s *Stream) {
		if s.Fault != nil {
			s.Start(s.Begin(s.Fault.Status), 0)
			_ = s.SendEnd(nil)
			return
		}
		w, r := s.HTTP("h", s.Target(), s.Target(), "", false)
		h(w, r)
	}}, Timeouts{Read: time.Minute, Write: time.Minute, Idle: time.Minute})
}

func get(more ...string) string {
	return "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Join(more, "") + "\r\n"
}

// A handler that is done does not wait for a client that sends its body slowly, even
// when a read of it begins at that moment.
func TestAReadThatBeginsAsTheHandlerEndsDoesNotHoldIt(t *testing.T) { // H12
	t.Parallel()
	r := &remote{past: make(chan struct{})}
	r.in = io.MultiReader(strings.NewReader("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n"), silent{r})
	reads, over := make(chan struct{}), make(chan struct{})
	r.moved = func(at time.Time) {
		switch left := time.Until(at); {
		case left > 50*time.Second: // the body's: the handler ends first
			select {
			case <-reads:
			default:
				close(reads)
				<-over
			}
		case left < 0:
			select {
			case <-over:
			default:
				// Held back until the other deadline has been set.
				defer close(over)
			}
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var reading sync.WaitGroup
		defer reading.Wait()
		serving(func(_ http.ResponseWriter, q *http.Request) {
			reading.Go(func() { _, _ = q.Body.Read(make([]byte, 10)) })
			<-reads
		}).ServeConn(r)
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the connection hangs")
	}
}

func TestAWriterDoesWhatHandlersExpect(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sends  string
		serve  http.HandlerFunc
		want   string // without Date
		writes int
	}{
		"nothing": {get(), func(http.ResponseWriter, *http.Request) {}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1},
		"a small body": {get(), func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<p>") },
			"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 3\r\n\r\n<p>", 1},
		"a type that is not to be guessed": {get(), func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, "<p>")
		}, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n<p>", 1},
		"changes after the head": {get(), func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(201)
			w.Header().Set("X-Late", "1")
			w.WriteHeader(500)
		}, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 1},
		"two flushes": {get(), func(w http.ResponseWriter, _ *http.Request) {
			for range 2 {
				_, _ = io.WriteString(w, "a")
				w.(http.Flusher).Flush()
			}
		}, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\na\r\n0\r\n\r\n", 3},
		"framing of a handler's own": {get(), func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h["Transfer-Encoding"], h["Connection"], h["Keep-Alive"], h["Content-Length"] = []string{"chunked"}, []string{"x"}, []string{"1"}, []string{"1"}
			h["Content-Type"] = nil
			_, _ = io.WriteString(w, "a")
		}, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", 1},
		"what could break out of its line": {get(), func(w http.ResponseWriter, _ *http.Request) { // P9
			w.Header()["X-A"] = []string{"a\r\nX-B: b", "fine"}
			w.Header()["X-C\r\nX-D"] = []string{"d"}
		}, "HTTP/1.1 200 OK\r\nX-A: fine\r\nContent-Length: 0\r\n\r\n", 1},
		"trailers": {get(), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, "a")
			w.Header().Set("X-Sum", "1")
			w.Header().Set(http.TrailerPrefix+"X-More", "2")
			w.Header().Set(http.TrailerPrefix+"Content-Length", "2")
		}, "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n", 1},
		"an end that was asked for": {get(), func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") },
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 1},
		"a body that is too large to be drained": {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n", func(http.ResponseWriter, *http.Request) {}, // H4
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 1},
		"less than was said": {get(), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5")
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, "abc")
		}, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", 1},
		"more than was said": {get(), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2")
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, "ab")
			if _, err := io.WriteString(w, "c"); !errors.Is(err, http.ErrContentLength) {
				panic(err)
			}
		}, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", 1},
		"a body that must not be": {get(), func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(304)
			if _, err := io.WriteString(w, "a"); !errors.Is(err, http.ErrBodyNotAllowed) {
				panic(err)
			}
		}, "HTTP/1.1 304 Not Modified\r\n\r\n", 1},
		"an early hint": {get(), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</a>")
			w.WriteHeader(103)
		}, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nLink: </a>\r\nContent-Length: 0\r\n\r\n", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := sends(c.sends)
			serving(c.serve).ServeConn(r)
			got := r.out.String()
			if at := strings.Index(got, "Date: "); at >= 0 {
				got = got[:at] + got[at+len("Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"):]
			}
			if got != c.want || len(r.writes) != c.writes {
				t.Errorf("%d writes of\n%q, want %d of\n%q", len(r.writes), got, c.writes, c.want)
			}
		})
	}
}

// E5: a panic breaks its answer and nothing else.
func TestAPanicBreaksItsAnswerOnly(t *testing.T) {
	t.Parallel()
	var told []any
	s := serving(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
		panic("a fault")
	})
	s.o.Panicked = func(_ *Stream, p any) { told = append(told, p) }
	for _, path := range []string{"/abort", "/fault"} {
		r := sends("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n" + get())
		s.ServeConn(r)
		if got := r.out.String(); strings.HasSuffix(got, "0\r\n\r\n") || strings.Count(got, "HTTP/1.1") != 1 {
			t.Errorf("%s: %q", path, got)
		}
	}
	if fmt.Sprint(told) != "[a fault]" || s.Conns() != 0 {
		t.Errorf("told of %v, %d connections", told, s.Conns())
	}
}

// H9: what a head may be is bounded, and its refusal ends the connection.
func TestHeadsAreBounded(t *testing.T) {
	t.Parallel()
	s := NewServer(Options{
		Limits: http1.Limits{HeadBytes: 1000, LineBytes: 200, Fields: 5},
		Serve: func(s *Stream) {
			status := 200
			if s.Fault != nil {
				status = s.Fault.Status
			}
			s.Start(s.Begin(status), 0)
			_ = s.SendEnd(nil)
		},
	}, Timeouts{Read: time.Minute, Write: time.Minute, Idle: time.Minute})
	for text, want := range map[string]string{
		get("A: b\r\n"): "200",
		"GET /" + strings.Repeat("a", 300) + " HTTP/1.1\r\nHost: h\r\n\r\n":         "414",
		"GET /" + strings.Repeat("a", 300):                                          "414",
		get("A: " + strings.Repeat("b", 1000) + "\r\n"):                             "431",
		"GET / HTTP/1.1\r\nHost: h\r\nA: " + strings.Repeat("b", 5000):              "431",
		get(strings.Repeat("A: b\r\n", 5)):                                          "431",
		strings.Repeat("\x00", 5000):                                                "414",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": "200",
	} {
		r := sends(text)
		s.ServeConn(r)
		if got := r.out.String(); !strings.HasPrefix(got, "HTTP/1.1 "+want) || want != "200" && !strings.Contains(got, "Connection: close\r\n") {
			t.Errorf("%.60q: %q, want %s", text, got, want)
		}
	}
}
