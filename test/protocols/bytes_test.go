// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package protocols

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gateway.jkaninda.dev/goma/test/peers/program"
)

// tape is a backend of HTTP/1.1 that notes every byte that it is sent.
type tape struct {
	url  string
	read chan string
}

// record serves one request for each connection. It knows the end of a request by the
// last bytes that are expected.
func record(t *testing.T, end func(sofar string) bool) *tape {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	b := &tape{url: "http://" + l.Addr().String(), read: make(chan string, 16)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go b.note(c, end)
		}
	}()
	return b
}

func (b *tape) note(c net.Conn, end func(sofar string) bool) {
	defer c.Close()
	var all strings.Builder
	part := make([]byte, 4<<10)
	for !end(all.String()) {
		n, err := c.Read(part)
		all.Write(part[:n])
		if err != nil {
			b.read <- all.String() + "<" + err.Error() + ">"
			return
		}
	}
	_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	// Whatever comes behind the request would be a request that nobody made.
	rest, _ := io.ReadAll(c)
	b.read <- all.String() + string(rest)
}

// complete tells that a request is all there: its head, and a body of its length or in
// chunks.
func complete(text string) bool {
	head, body, ok := strings.Cut(text, "\r\n\r\n")
	if !ok {
		return false
	}
	head = strings.ToLower(head)
	if strings.Contains(head, "transfer-encoding: chunked") {
		return strings.HasSuffix(body, "0\r\n\r\n") || strings.Contains(body, "\r\n0\r\n") && strings.HasSuffix(body, "\r\n\r\n")
	}
	if _, length, ok := strings.Cut(head, "content-length: "); ok {
		n := 0
		_, _ = fmt.Sscan(length, &n)
		return len(body) >= n
	}
	return true
}

// What the gateway tells a backend of a client of these tests, in the order in which
// fields are sorted.
const told = "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: shop.example.com\r\nX-Forwarded-Proto: http\r\nX-Goma-Hops: 1\r\nX-Real-Ip: 127.0.0.1\r\n"

// sorted puts the fields of a head into order: that of names is the gateway's, that of
// the values of one name is the client's.
func sorted(text string) string {
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	line, fields, _ := strings.Cut(head, "\r\n")
	list := strings.Split(fields, "\r\n")
	name := func(field string) string { n, _, _ := strings.Cut(field, ":"); return strings.ToLower(n) }
	slices.SortStableFunc(list, func(a, b string) int { return strings.Compare(name(a), name(b)) })
	return line + "\r\n" + strings.Join(list, "\r\n") + "\r\n\r\n" + body
}

var exact = []struct {
	name   string
	fields []string
	// body is in frames, trailers follow it.
	body, trailers []string
	// want is what a backend of HTTP/1.1 reads, with its fields sorted.
	want string
}{
	{
		name: "GET", fields: []string{":method", "GET", ":path", "/a/b?c=d&c=%65;f", "accept", "*/*", "user-agent", "test"},
		want: "GET /a/b?c=d&c=%65;f HTTP/1.1\r\nAccept: */*\r\nHost: shop.example.com\r\nUser-Agent: test\r\n" + told + "\r\n",
	},
	{
		name: "POST with a length", fields: []string{":method", "POST", ":path", "/", "content-length", "11", "content-type", "text/plain"}, body: []string{"hello ", "world"},
		want: "POST / HTTP/1.1\r\nContent-Length: 11\r\nContent-Type: text/plain\r\nHost: shop.example.com\r\n" + told + "\r\nhello world",
	},
	{
		name: "POST of nothing, with a length", fields: []string{":method", "POST", ":path", "/", "content-length", "0"},
		want: "POST / HTTP/1.1\r\nContent-Length: 0\r\nHost: shop.example.com\r\n" + told + "\r\n",
	},
	{
		name: "POST of nothing, without", fields: []string{":method", "POST", ":path", "/"},
		want: "POST / HTTP/1.1\r\nContent-Length: 0\r\nHost: shop.example.com\r\n" + told + "\r\n",
	},
	{
		name: "POST without a length", fields: []string{":method", "POST", ":path", "/"}, body: []string{"hello world, in one frame"},
		want: "POST / HTTP/1.1\r\nHost: shop.example.com\r\nTransfer-Encoding: chunked\r\n" + told + "\r\n19\r\nhello world, in one frame\r\n0\r\n\r\n",
	},
	{
		name: "trailers", fields: []string{":method", "POST", ":path", "/", "trailer", "x-sum"}, body: []string{"hello"},
		trailers: []string{"x-sum", "1", "x-forwarded-for", "9.9.9.9"},
		want:     "POST / HTTP/1.1\r\nHost: shop.example.com\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n" + told + "\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
	},
	{
		name: "cookie crumbs", fields: []string{":method", "GET", ":path", "/", "cookie", "a=b", "cookie", "c=d; e=f", "cookie", "g=h"}, // RFC 9113 §8.2.3
		want: "GET / HTTP/1.1\r\nCookie: a=b; c=d; e=f; g=h\r\nHost: shop.example.com\r\n" + told + "\r\n",
	},
	{
		name: "fields that come more than once", fields: []string{":method", "GET", ":path", "/", "x-a", "1", "x-b", "", "x-a", "2", "te", "trailers"},
		want: "GET / HTTP/1.1\r\nHost: shop.example.com\r\nTe: trailers\r\nX-A: 1\r\nX-A: 2\r\nX-B: \r\n" + told + "\r\n",
	},
	{
		name: "a host beside the authority", fields: []string{":method", "GET", ":path", "/", "host", "SHOP.example.com"},
		want: "GET / HTTP/1.1\r\nHost: shop.example.com\r\n" + told + "\r\n",
	},
	{
		name: "percent-encodings", fields: []string{":method", "GET", ":path", "/%61/%2F/%c3%bc/a%20b/%3f%23%25/~?%2f=%zz"},
		want: "GET /a/%2F/%C3%BC/a%20b/%3F%23%25/~?%2f=%zz HTTP/1.1\r\nHost: shop.example.com\r\n" + told + "\r\n",
	},
	{
		name: "what is told by the gateway alone", fields: []string{":method", "GET", ":path", "/", "x-forwarded-for", "9.9.9.9", "x_forwarded_for", "9.9.9.9", "x-real-ip", "9.9.9.9", "forwarded", "for=9.9.9.9"},
		want: "GET / HTTP/1.1\r\nHost: shop.example.com\r\n" + told + "\r\n",
	},
}

func TestEachByteFromHTTP2ToHTTP1(t *testing.T) { // G2, P1, P6, H6
	t.Parallel()
	b := record(t, complete)
	g := serve(t, to(b.url))
	for _, c := range exact {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", g.Web)
			must(t, err)
			defer conn.Close()
			must(t, conn.SetDeadline(time.Now().Add(program.Patience)))
			f := newFrames(t, conn)
			f.head(1, len(c.body)+len(c.trailers) == 0, append(slices.Clone(c.fields[:4]), append([]string{":scheme", "http", ":authority", "shop.example.com"}, c.fields[4:]...)...)...)
			for i, part := range c.body {
				must(t, f.WriteData(1, i == len(c.body)-1 && c.trailers == nil, []byte(part)))
			}
			if c.trailers != nil {
				f.head(1, true, c.trailers...)
			}
			if status := f.status(1); status != "200" {
				t.Errorf("status %s", status)
			}
			select {
			case got := <-b.read:
				if sorted(got) != sorted(c.want) {
					t.Errorf("the backend reads\n%q\nwant\n%q", sorted(got), sorted(c.want))
				}
			case <-time.After(program.Patience):
				t.Error("the backend is not asked")
			}
		})
	}
}

// status waits for the answer on a stream.
func (f *frames) status(stream uint32) string {
	f.t.Helper()
	for {
		frame, err := f.ReadFrame()
		must(f.t, err)
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			if frame.StreamID == stream {
				return frame.PseudoValue("status")
			}
		case *http2.RSTStreamFrame:
			if frame.StreamID == stream {
				return frame.ErrCode.String()
			}
		}
	}
}

// What must not pass: none of it makes a request to the backend.
func TestWhatHTTP1WouldReadDifferentlyReachesNoBackend(t *testing.T) { // G2
	t.Parallel()
	b := record(t, complete)
	g := serve(t, to(b.url))
	conn, err := net.Dial("tcp", g.Web)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(program.Patience)))
	f := newFrames(t, conn)
	stream := uint32(1)
	for _, bad := range [][]string{
		{"transfer-encoding", "chunked"}, {"connection", "close"}, {"upgrade", "websocket"}, {"te", "gzip"}, {"Upper", "x"},
		{"x", "a\r\nb: c"}, {"x", "a\x00b"}, {"x y", "z"}, {"host", "other.example.com"}, {"content-length", "1"},
		{"content-length", "+0"}, {":path", "/again"}, {":unknown", "x"}, {"proxy-connection", "close"}, {"keep-alive", "1"},
	} {
		f.head(stream, true, append([]string{":method", "GET", ":path", "/", ":scheme", "http", ":authority", "shop.example.com"}, bad...)...)
		if status := f.status(stream); status != "400" && status != "PROTOCOL_ERROR" {
			t.Errorf("%q: %s", bad, status)
		}
		stream += 2
	}
	for _, path := range []string{"/a/..%2fb", "/%00", "x", "", "/a b", "/\r\n"} {
		f.head(stream, true, ":method", "GET", ":path", path, ":scheme", "http", ":authority", "shop.example.com")
		if status := f.status(stream); status != "400" && status != "PROTOCOL_ERROR" {
			t.Errorf("path %q: %s", path, status)
		}
		stream += 2
	}
	select {
	case got := <-b.read:
		t.Errorf("the backend reads %q", got)
	default:
	}
}

// framed is what a backend of HTTP/2 gets.
type framed struct {
	fields, trailers []hpack.HeaderField
	body             string
}

// recordFrames serves one request for each connection, by hand, and notes its frames.
func recordFrames(t *testing.T) (url string, got chan framed) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	got = make(chan framed, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go noteFrames(c, got)
		}
	}()
	return "h2c://" + l.Addr().String(), got
}

func noteFrames(c net.Conn, got chan framed) {
	defer c.Close()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c, preface); err != nil || string(preface) != http2.ClientPreface {
		got <- framed{body: fmt.Sprintf("preface %q, %v", preface, err)}
		return
	}
	f := http2.NewFramer(c, c)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = f.WriteSettings()
	streams := map[uint32]*framed{}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		ended := false
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = f.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			if s := streams[frame.StreamID]; s != nil {
				s.trailers = frame.Fields
			} else {
				streams[frame.StreamID] = &framed{fields: frame.Fields}
			}
			ended = frame.StreamEnded()
		case *http2.DataFrame:
			streams[frame.StreamID].body += string(frame.Data())
			ended = frame.StreamEnded()
		}
		if ended {
			got <- *streams[frame.Header().StreamID]
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: frame.Header().StreamID, BlockFragment: []byte{0x88}, EndHeaders: true, EndStream: true}) // :status 200
		}
	}
}

// listing gives fields as lines, pseudo-fields first, and then sorted by name.
func listing(fields []hpack.HeaderField) string {
	list := slices.Clone(fields)
	slices.SortStableFunc(list, func(a, b hpack.HeaderField) int { return strings.Compare(a.Name, b.Name) })
	var b strings.Builder
	for _, f := range list {
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	return b.String()
}

func TestEachFieldFromHTTP1ToHTTP2(t *testing.T) { // G3, P1, P6, P7, H6
	t.Parallel()
	url, frames := recordFrames(t)
	g := serve(t, to(url))
	const told = "x-forwarded-for: 127.0.0.1\nx-forwarded-host: shop.example.com\nx-forwarded-proto: http\nx-goma-hops: 1\nx-real-ip: 127.0.0.1\n"
	pseudo := func(method, path string) string {
		return fmt.Sprintf(":authority: shop.example.com\n:method: %s\n:path: %s\n:scheme: http\n", method, path)
	}
	for name, c := range map[string]struct{ send, fields, body, trailers string }{
		"GET": {"GET /a/%61?c=%65 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: test\r\nX-A: 1\r\nX-A: 2\r\n\r\n",
			pseudo("GET", "/a/a?c=%65") + "user-agent: test\nx-a: 1\nx-a: 2\n" + told, "", ""},
		"a length": {"POST / HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: test\r\nContent-Length: 5\r\n\r\nhello",
			pseudo("POST", "/") + "content-length: 5\nuser-agent: test\n" + told, "hello", ""},
		"chunks and trailers": {"POST / HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX-Sum: 1\r\nX-Real-Ip: 9.9.9.9\r\n\r\n",
			pseudo("POST", "/") + "trailer: X-Sum\nuser-agent: test\n" + told, "hello", "x-sum: 1\n"},
		"what ends at the hop": {"GET / HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: test\r\nConnection: keep-alive, X-Hop, X-Real-Ip\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\nTE: trailers\r\n\r\n",
			pseudo("GET", "/") + "te: trailers\nuser-agent: test\n" + told, "", ""},
		"a target in absolute form": {"GET http://SHOP.example.com/x HTTP/1.1\r\nHost: other.example.com\r\nUser-Agent: test\r\n\r\n",
			pseudo("GET", "/x") + "user-agent: test\n" + told, "", ""},
		"no user agent": {"GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n", pseudo("GET", "/") + told, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", g.Web)
			must(t, err)
			defer conn.Close()
			must(t, conn.SetDeadline(time.Now().Add(program.Patience)))
			_, err = io.WriteString(conn, c.send)
			must(t, err)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			must(t, err)
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("status %d", resp.StatusCode)
			}
			got := <-frames
			if fields := listing(got.fields); fields != c.fields {
				t.Errorf("fields\n%s\nwant\n%s", fields, c.fields)
			}
			if got.body != c.body || listing(got.trailers) != c.trailers {
				t.Errorf("body %q, trailers %q", got.body, listing(got.trailers))
			}
		})
	}
}
