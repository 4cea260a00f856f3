// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/downstream"
	"gateway.jkaninda.dev/goma/internal/gateway/entrypoint"
	"gateway.jkaninda.dev/goma/internal/gateway/observe"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"
)

// enginePatience ends tests that hang; none of them waits for it.
const enginePatience = 30 * time.Second

// engine is the proxy on an entry point of its own: all that a gateway has between
// a client's socket and a backend's.
type engine struct {
	*entrypoint.EntryPoint

	t *testing.T
	// handled gets a request when its handler is done; in the direct way, never.
	handled chan *http.Request
}

// ways are how a request can go through the engine.
var ways = []string{"direct", "handler", "middleware"}

// engineOptions say what an engine is made of; the zero value has no settings.
type engineOptions struct {
	route    config.Route
	timeouts config.Timeouts
	upstream upstream.Settings
	proxy    config.Proxy
	tls      *tls.Config
	point    config.EntryPoint
	// wrap goes around the handler in the way "middleware".
	wrap func(http.Handler) http.Handler
}

func newEngine(t *testing.T, way, target string, o engineOptions) *engine {
	t.Helper()
	r := o.route
	if r.Target = target; r.Path == "" {
		r.Path = "/"
	}
	registry := upstream.NewRegistry(o.upstream, pool.New())
	cluster, problems := registry.Acquire(&r)
	if cluster == nil {
		t.Fatal(problems)
	}
	h := New(Options{Route: &r, Cluster: cluster})
	e := &engine{t: t, handled: make(chan *http.Request, 64)}
	options := entrypoint.Options{
		Name: "web", Address: "127.0.0.1:0", Timeouts: o.timeouts, Proxy: o.proxy, TLS: o.tls, Point: o.point,
		Handler: e.note(h), Wrap: observer(t).Wrap,
	}
	switch way {
	case "direct":
		options.Direct = h.Direct
	case "middleware":
		if o.wrap == nil {
			o.wrap = hiding
		}
		options.Handler = e.note(o.wrap(h))
	}
	var err error
	if e.EntryPoint, err = entrypoint.Listen(options); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- e.Serve() }()
	t.Cleanup(func() {
		_ = e.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		cluster.Release()
	})
	return e
}

// observer counts and decorates, and writes its log to nobody.
func observer(t *testing.T) *observe.Observer {
	t.Helper()
	log, err := observe.NewLog(config.Log{Level: "error"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	return observe.NewObserver(log, nil)
}

// note tells of each request that a handler has served.
func (e *engine) note(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			select {
			case e.handled <- r:
			default: // nobody waits for so many
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// hiding is a middleware that does nothing, on a writer of its own.
func hiding(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(struct{ unwrapping }{unwrapping{w}}, r)
	})
}

type unwrapping struct{ http.ResponseWriter }

func (u unwrapping) Unwrap() http.ResponseWriter { return u.ResponseWriter }

// inEveryWay runs a test with a request going through the engine in each way.
func inEveryWay(t *testing.T, target func(t *testing.T) string, o engineOptions, test func(t *testing.T, e *engine)) {
	t.Helper()
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			test(t, newEngine(t, way, target(t), o))
		})
	}
}

// client is a connection of a client, and what comes on it.
type client struct {
	net.Conn

	t  *testing.T
	in *bufio.Reader
}

func (e *engine) dial() *client {
	e.t.Helper()
	c, err := net.Dial("tcp", e.Addr().String())
	if err != nil {
		e.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(enginePatience))
	e.t.Cleanup(func() { _ = c.Close() })
	return &client{c, e.t, bufio.NewReader(c)}
}

// send sends text, as fmt.Sprintf makes it when there are arguments.
func (c *client) send(text string, args ...any) {
	c.t.Helper()
	if len(args) > 0 {
		text = fmt.Sprintf(text, args...)
	}
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Fatalf("sending %.60q: %v", text, err)
	}
}

// head reads a head as it is on the wire, without its last empty line.
func (c *client) head() string {
	c.t.Helper()
	var b strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.t.Fatalf("a head that breaks off: %q, %v", b.String()+line, err)
		}
		if line == "\r\n" {
			return b.String()
		}
		b.WriteString(line)
	}
}

// answer reads one answer to the end of its body.
func (c *client) answer(method string) (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		c.t.Fatalf("%d %v: %v", resp.StatusCode, resp.Header, err)
	}
	return resp, string(data)
}

// read reads exactly as much as the text is long, and wants it to be that text.
func (c *client) read(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c.in, got); err != nil || string(got) != want {
		c.t.Fatalf("%q, %v; want %q", got[:n], err, want)
	}
}

// ended wants the connection to have nothing more, and to be at its end.
func (c *client) ended() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.in); len(rest) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		c.t.Errorf("the connection goes on: %.200q, %v", rest, err)
	}
}

// farEnd is a backend that is a script, and remembers every byte it got.
type farEnd struct {
	net.Listener

	t *testing.T

	mu sync.Mutex

	got   bytes.Buffer
	conns int
	// live are the connections that are open.
	live sync.WaitGroup
}

// wired is a backend; script has each of its connections, and n counts them from 0.
func wired(t *testing.T, script func(c *peer, n int)) *farEnd {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &farEnd{Listener: l, t: t}
	accepting := make(chan struct{})
	go func() {
		defer close(accepting)
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(enginePatience))
			w.mu.Lock()
			w.conns++
			w.mu.Unlock()
			w.live.Go(func() {
				defer c.Close() //nolint:errcheck // a test
				script(&peer{Conn: c, in: bufio.NewReader(io.TeeReader(c, w))}, n)
			})
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-accepting
		w.live.Wait()
	})
	return w
}

func (w *farEnd) url() string { return "http://" + w.Addr().String() }

// Write remembers.
func (w *farEnd) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.got.Write(p)
}

// all gives every byte that came so far, and how many connections there were.
func (w *farEnd) all() (got string, conns int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.got.String(), w.conns
}

// peer is a connection of a scripted backend.
type peer struct {
	net.Conn

	in *bufio.Reader
}

// request reads a head, as it is on the wire; it is empty at the end.
func (p *peer) request() string {
	var b strings.Builder
	for {
		line, err := p.in.ReadString('\n')
		if err != nil {
			return ""
		}
		if b.WriteString(line); line == "\r\n" {
			return b.String()
		}
	}
}

func (p *peer) say(text string) { _, _ = io.WriteString(p.Conn, text) }

// answering is a backend that gives every request without a body the same answer.
func answering(t *testing.T, answer string) *farEnd {
	t.Helper()
	return wired(t, func(c *peer, _ int) {
		for c.request() != "" {
			c.say(answer)
		}
	})
}

// echo is a backend of net/http that tells what it has been asked.
func echo(t *testing.T) string {
	t.Helper()
	return serveBackend(t, func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("X-Echo", r.Method+" "+r.RequestURI)
		_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.RequestURI, data)
	}).URL
}

// memory is a client's connection without a network: what it sends is there from
// the start, and each write of the server is counted.
type memory struct {
	net.Conn // nil: nothing else is called

	in     *strings.Reader
	out    bytes.Buffer
	writes int
}

func (m *memory) Read(p []byte) (int, error)         { return m.in.Read(p) }
func (m *memory) Write(p []byte) (int, error)        { m.writes++; return m.out.Write(p) }
func (m *memory) Close() error                       { return nil }
func (m *memory) RemoteAddr() net.Addr               { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }
func (m *memory) SetReadDeadline(_ time.Time) error  { return nil }
func (m *memory) SetWriteDeadline(_ time.Time) error { return nil }

// inMemory serves what a client sends by a route, directly or by its handler.
func inMemory(t *testing.T, way, target, sends string) *memory {
	t.Helper()
	r := config.Route{Path: "/", Target: target}
	registry := upstream.NewRegistry(upstream.Settings{}, pool.New())
	cluster, problems := registry.Acquire(&r)
	if cluster == nil {
		t.Fatal(problems)
	}
	defer cluster.Release()
	h := New(Options{Route: &r, Cluster: cluster})
	m := &memory{in: strings.NewReader(sends)}
	downstream.NewServer(downstream.Options{Serve: func(s *downstream.Stream) {
		s.Exchange().Path, s.Exchange().Host = s.Target(), "h"
		if way == "direct" {
			if served, _ := h.Direct(s, "", false); served {
				return
			}
			t.Error("not served directly")
		}
		h.ServeHTTP(s.HTTP("h", s.Target(), s.Target(), "", false))
	}}, downstream.Timeouts{Read: time.Minute, Write: time.Minute, Idle: time.Minute}).ServeConn(m)
	return m
}

// sortedLines gives the lines of a head in an order of their own, names in lower
// case, without the number that each request has.
func sortedLines(head string) string {
	lines := strings.Split(strings.TrimSuffix(head, "\r\n"), "\r\n")
	for i, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		if strings.HasSuffix(name, "Request-Id") && len(value) > 30 {
			value = " random"
		}
		lines[i+1] = strings.ToLower(name) + ":" + value
	}
	slices.Sort(lines[1:])
	return strings.Join(lines, "\n")
}
