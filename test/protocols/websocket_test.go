// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package protocols

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
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gateway.jkaninda.dev/goma/test/peers/program"
)

// The reason with which the server of WebSocket closes, when it is asked to.
const serverCloses = websocket.StatusCode(4002)

// sockets is a server of WebSocket: it sends every message back, but for some words.
type sockets struct {
	url string
	// closed has how each connection has ended.
	closed chan error
}

func serveSockets(t *testing.T) *sockets {
	t.Helper()
	s := &sockets{closed: make(chan error, 16)}
	s.url = backend(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
			InsecureSkipVerify: true, Subprotocols: []string{"chat"}, CompressionMode: websocket.CompressionContextTakeover, CompressionThreshold: 1,
		})
		if err != nil {
			return // it has answered
		}
		defer c.CloseNow() //nolint:errcheck // a test
		c.SetReadLimit(-1)
		s.closed <- s.echo(t.Context(), c)
	}).URL
	return s
}

func (s *sockets) echo(ctx context.Context, c *websocket.Conn) error {
	for {
		kind, data, err := c.Read(ctx)
		if err != nil {
			return err
		}
		switch string(data) {
		case "close":
			return c.Close(serverCloses, "as you like")
		case "ping":
			reading := c.CloseRead(ctx)
			if err := c.Ping(reading); err != nil {
				return err
			}
			return c.Close(websocket.StatusNormalClosure, "pong came")
		}
		if err := c.Write(ctx, kind, data); err != nil {
			return err
		}
	}
}

// socket connects a client.
func socket(t *testing.T, url string, compression websocket.CompressionMode) (*websocket.Conn, *http.Response) {
	t.Helper()
	c, resp, err := websocket.Dial(patient(t), url, &websocket.DialOptions{
		HTTPClient:   &http.Client{Transport: &http.Transport{TLSClientConfig: tried("h2", "http/1.1"), ForceAttemptHTTP2: false}},
		HTTPHeader:   http.Header{"Authorization": {"Basic YTpi"}},
		Subprotocols: []string{"other", "chat"}, CompressionMode: compression, CompressionThreshold: 1,
	})
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	c.SetReadLimit(-1)
	return c, resp
}

func said(t *testing.T, c *websocket.Conn, kind websocket.MessageType, message []byte) {
	t.Helper()
	must(t, c.Write(patient(t), kind, message))
	heard(t, c, kind, message)
}

func heard(t *testing.T, c *websocket.Conn, kind websocket.MessageType, message []byte) {
	t.Helper()
	k, data, err := c.Read(patient(t))
	must(t, err)
	if k != kind || !bytes.Equal(data, message) {
		t.Errorf("%v of %d bytes, want %v of %d", k, len(data), kind, len(message))
	}
}

// upgrading have the routes that a WebSocket takes: with nothing on them, and through
// middlewares.
func upgrading(s *sockets) string {
	return routed(fmt.Sprintf(`
		{name: plain, path: /plain, rewrite: /, target: %[1]q}
		{name: guarded, path: /guarded, rewrite: /, target: %[1]q, middlewares: [login, mark]}
	`, s.url), `
		{name: login, type: basic, paths: [/*], rule: {users: [{username: a, password: b}]}}
		{name: mark, type: responseHeaders, rule: {setHeaders: {X-Mark: here}}}
	`)
}

func TestWebSocket(t *testing.T) { // H5, H8
	t.Parallel()
	s := serveSockets(t)
	g := program.Serve(t, binary, upgrading(s))
	for _, entry := range []string{"ws://" + g.Web, "wss://" + g.Secure} {
		for _, path := range []string{"/plain/x", "/guarded/x"} {
			t.Run(entry+path, func(t *testing.T) {
				c, resp := socket(t, entry+path, websocket.CompressionDisabled)
				if resp.Header.Get("Sec-WebSocket-Extensions") != "" || c.Subprotocol() != "chat" {
					t.Errorf("extensions %q, protocol %q", resp.Header.Get("Sec-WebSocket-Extensions"), c.Subprotocol())
				}
				if got := resp.Header.Get("X-Mark"); strings.HasPrefix(path, "/guarded") != (got == "here") {
					t.Errorf("mark %q", got) // M28
				}
				messages(t, c)
				must(t, c.Close(websocket.StatusNormalClosure, ""))
				if err := <-s.closed; websocket.CloseStatus(err) != websocket.StatusNormalClosure {
					t.Error(err)
				}
				closes(t, s, entry+path)
			})
		}
	}
	t.Run("without the password", func(t *testing.T) {
		_, resp, err := websocket.Dial(patient(t), "ws://"+g.Web+"/guarded/x", nil)
		if err == nil || resp == nil || resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%v, %v", resp, err)
		}
	})
}

// messages sends some of each kind, whole and in parts.
func messages(t *testing.T, c *websocket.Conn) {
	t.Helper()
	said(t, c, websocket.MessageText, []byte("hello"))
	said(t, c, websocket.MessageText, nil)
	said(t, c, websocket.MessageBinary, payload(t, 1<<20).GetBody())
	parts := payload(t, 100_000).GetBody()
	w, err := c.Writer(patient(t), websocket.MessageBinary)
	must(t, err)
	for i := 0; i < len(parts); i += 10_000 {
		_, err := w.Write(parts[i : i+10_000])
		must(t, err)
	}
	must(t, w.Close())
	heard(t, c, websocket.MessageBinary, parts)
}

// closes has connections pinged and closed, by either side.
func closes(t *testing.T, s *sockets, url string) {
	t.Helper()
	c, _ := socket(t, url, websocket.CompressionDisabled)
	must(t, c.Write(patient(t), websocket.MessageText, []byte("close")))
	_, _, err := c.Read(patient(t))
	var e websocket.CloseError
	if !errors.As(err, &e) || e.Code != serverCloses || e.Reason != "as you like" {
		t.Errorf("the server's end: %v", err)
	}
	must(t, <-s.closed)

	c, _ = socket(t, url, websocket.CompressionDisabled)
	must(t, c.Write(patient(t), websocket.MessageText, []byte("ping")))
	_, _, err = c.Read(patient(t)) // it answers the ping
	if !errors.As(err, &e) || e.Code != websocket.StatusNormalClosure || e.Reason != "pong came" {
		t.Errorf("after the server's ping: %v", err)
	}
	must(t, <-s.closed)

	c, _ = socket(t, url, websocket.CompressionDisabled)
	reading := c.CloseRead(patient(t))
	must(t, c.Ping(reading))
	must(t, c.Close(4001, "enough"))
	if err := <-s.closed; !errors.As(err, &e) || e.Code != 4001 || e.Reason != "enough" {
		t.Errorf("the client's end: %v", err)
	}
}

// Both sides agree on compression by themselves.
func TestCompressionOfWebSocketIsBetweenClientAndBackend(t *testing.T) {
	t.Parallel()
	s := serveSockets(t)
	g := program.Serve(t, binary, upgrading(s))
	for mode, want := range map[websocket.CompressionMode]string{
		websocket.CompressionContextTakeover:   "permessage-deflate",
		websocket.CompressionNoContextTakeover: "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
	} {
		c, resp := socket(t, "ws://"+g.Web+"/guarded/x", mode)
		if got := resp.Header.Get("Sec-WebSocket-Extensions"); got != want {
			t.Errorf("extensions %q, want %q", got, want)
		}
		for range 10 {
			said(t, c, websocket.MessageText, []byte(strings.Repeat("the same again, ", 1000)))
		}
		messages(t, c)
	}
}

func TestReloadsCutNoWebSocket(t *testing.T) {
	t.Parallel()
	s := serveSockets(t)
	before := upgrading(s)
	g := program.Serve(t, binary, before)
	var open []*websocket.Conn
	for _, url := range []string{"ws://" + g.Web + "/plain/x", "wss://" + g.Secure + "/guarded/x"} {
		c, _ := socket(t, url, websocket.CompressionDisabled)
		open = append(open, c)
	}
	for step, next := range []string{
		strings.ReplaceAll(before, "rewrite: /,", "rewrite: /y,"),
		strings.ReplaceAll(before, "password: b", "password: c"),
		routed("{name: other, path: /other, target: http://127.0.0.1:1}", ""),
		before,
	} {
		g.Configure(t, next)
		if code, body := g.Reload(t); code != http.StatusOK {
			t.Fatalf("step %d: %d %s", step, code, body)
		}
		for _, c := range open {
			said(t, c, websocket.MessageText, fmt.Append(nil, "step ", step))
		}
	}
	for _, c := range open {
		must(t, c.Close(websocket.StatusNormalClosure, ""))
	}
}

// After the 101 every byte is passed on as it is, frames or not, also those that come
// with the request.
func TestTheBytesOfAWebSocketAreNotTouched(t *testing.T) { // H5
	t.Parallel()
	b := backend(t, func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
		_, _ = io.Copy(c, rw)
	})
	g := serve(t, to(b.URL))
	plain, err := net.Dial("tcp", g.Web)
	must(t, err)
	secure, err := tls.Dial("tcp", g.Secure, tried("http/1.1"))
	must(t, err)
	for _, c := range []net.Conn{plain, secure} {
		defer c.Close()
		must(t, c.SetDeadline(time.Now().Add(program.Patience)))
		// Fragments with a ping between them, reserved bits, an unknown opcode, noise.
		early := "\x01\x83mask\x05\x04\x1f" + "\x89\x80mask" + "\x80\x83mask\x05\x04\x1f"
		late := "\x7b\x80mask" + string(payload(t, 300_000).GetBody())
		_, err := io.WriteString(c, "GET /x HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"+early)
		must(t, err)
		from := bufio.NewReader(c)
		resp, err := http.ReadResponse(from, nil)
		must(t, err)
		if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
			t.Fatalf("%d %v", resp.StatusCode, resp.Header)
		}
		go func() { _, _ = io.WriteString(c, late) }()
		got := make([]byte, len(early)+len(late))
		_, err = io.ReadFull(from, got)
		must(t, err)
		if string(got) != early+late {
			t.Error("the bytes are others")
		}
	}
}

// WebSocket over HTTP/2 (RFC 8441) is not offered, and a client that wants it
// nevertheless is refused on its stream alone.
func TestWebSocketOverHTTP2IsNotOffered(t *testing.T) { // G3
	t.Parallel()
	s := serveSockets(t)
	g := serve(t, to(s.url))
	plain, err := net.Dial("tcp", g.Web)
	must(t, err)
	secure, err := tls.Dial("tcp", g.Secure, tried("h2"))
	must(t, err)
	for _, c := range []net.Conn{plain, secure} {
		defer c.Close()
		must(t, c.SetDeadline(time.Now().Add(program.Patience)))
		f := newFrames(t, c)
		f.head(1, true, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "h", "sec-websocket-version", "13")
		f.head(3, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "h")
		refused := false
		for answered := false; !answered || !refused; {
			frame, err := f.ReadFrame()
			must(t, err)
			switch frame := frame.(type) {
			case *http2.SettingsFrame:
				if v, ok := frame.Value(http2.SettingEnableConnectProtocol); ok && v != 0 {
					t.Error("it is offered")
				}
			case *http2.RSTStreamFrame:
				refused = refused || frame.StreamID == 1
			case *http2.MetaHeadersFrame:
				status := frame.PseudoValue("status")
				refused = refused || frame.StreamID == 1 && strings.HasPrefix(status, "4")
				answered = answered || frame.StreamID == 3 && status == "426"
			}
		}
	}
}

// frames speaks HTTP/2 by hand.
type frames struct {
	*http2.Framer

	t       *testing.T
	encoder *hpack.Encoder
	block   bytes.Buffer
}

func newFrames(t *testing.T, c net.Conn) *frames {
	t.Helper()
	_, err := io.WriteString(c, http2.ClientPreface)
	must(t, err)
	f := &frames{Framer: http2.NewFramer(c, c), t: t}
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.encoder = hpack.NewEncoder(&f.block)
	must(t, f.WriteSettings())
	must(t, f.WriteSettingsAck())
	return f
}

// head opens a stream, or ends one.
func (f *frames) head(stream uint32, end bool, fields ...string) {
	f.t.Helper()
	f.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		must(f.t, f.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	must(f.t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.block.Bytes(), EndStream: end, EndHeaders: true}))
}
