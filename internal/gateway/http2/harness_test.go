// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	peer "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// patience ends tests that hang; none of them waits for it.
const patience = 30 * time.Second

// serving is a Server on a socket.
type serving struct {
	*Server

	t       *testing.T
	address string
}

func serve(t *testing.T, o Options, handler http.HandlerFunc) *serving {
	t.Helper()
	o.Handler = handler
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(o)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.ServeConn(context.Background(), c)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		s.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Drain(ctx); err != nil {
			t.Errorf("connections do not end: %v", err)
		}
	})
	return &serving{s, t, l.Addr().String()}
}

// client is a client of another make.
func (s *serving) client() *http.Client {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &p}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func (s *serving) url(path string) string { return "http://" + s.address + path }

// raw is a client that sends frames.
type raw struct {
	*peer.Framer

	t       *testing.T
	conn    net.Conn
	encoded strings.Builder
	encoder *hpack.Encoder
}

// raw connects, sends the preface and settings, and reads those of the server.
func (s *serving) raw(settings ...peer.Setting) *raw {
	s.t.Helper()
	c, err := net.Dial("tcp", s.address) //nolint:noctx // a test
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, preface); err != nil {
		s.t.Fatal(err)
	}
	r := &raw{Framer: peer.NewFramer(c, c), t: s.t, conn: c}
	r.encoder = hpack.NewEncoder(&r.encoded)
	r.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	r.SetMaxReadFrameSize(1<<24 - 1)
	r.must(r.WriteSettings(settings...))
	return r
}

func (r *raw) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// request sends the head of a request.
func (r *raw) request(id uint32, end bool, method, path string, fields ...string) {
	r.t.Helper()
	r.encoded.Reset()
	fields = append([]string{":method", method, ":scheme", "http", ":authority", "h", ":path", path}, fields...)
	for i := 0; i < len(fields); i += 2 {
		r.must(r.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	r.must(r.WriteHeaders(peer.HeadersFrameParam{StreamID: id, BlockFragment: []byte(r.encoded.String()), EndHeaders: true, EndStream: end}))
}

// until reads frames until one is wanted.
func (r *raw) until(wanted func(peer.Frame) bool) peer.Frame {
	r.t.Helper()
	for {
		f, err := r.ReadFrame()
		if err != nil {
			r.t.Fatalf("%v before what was to come", err)
		}
		if wanted(f) {
			return f
		}
	}
}

// answer reads the answer of a stream: its status, and its body; or the code of a reset.
func (r *raw) answer(id uint32) (status, body string, reset peer.ErrCode) {
	r.t.Helper()
	for {
		f, err := r.ReadFrame()
		if err != nil {
			r.t.Fatalf("%v before the end of stream %d, after %q %q", err, id, status, body)
		}
		if f.Header().StreamID != id {
			continue
		}
		switch f := f.(type) {
		case *peer.MetaHeadersFrame:
			if f.StreamEnded() || f.PseudoValue("status") != "" && f.PseudoValue("status") >= "200" {
				if s := f.PseudoValue("status"); s != "" {
					status = s
				}
			}
			if f.StreamEnded() {
				return status, body, 0
			}
		case *peer.DataFrame:
			body += string(f.Data())
			if f.StreamEnded() {
				return status, body, 0
			}
		case *peer.RSTStreamFrame:
			return status, body, f.ErrCode
		}
	}
}

// ends reads to the end of the connection, and gives the code of its last GOAWAY.
func (r *raw) ends() (code peer.ErrCode, last uint32) {
	code = 1 << 30
	for {
		f, err := r.ReadFrame()
		if err != nil {
			return code, last
		}
		if away, ok := f.(*peer.GoAwayFrame); ok {
			code, last = away.ErrCode, away.LastStreamID
		}
	}
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }
