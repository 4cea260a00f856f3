// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"bytes"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// frames is a client of HTTP/2 without any manners.
type frames struct {
	*http2.Framer

	t     *testing.T
	block bytes.Buffer
	coder *hpack.Encoder
	next  uint32
}

func newFrames(t *testing.T, address string) *frames {
	t.Helper()
	c, err := net.Dial("tcp", address) //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(enginePatience))
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	f := &frames{Framer: http2.NewFramer(c, c), t: t, next: 1}
	f.coder = hpack.NewEncoder(&f.block)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *frames) encode(fields []string) []byte {
	f.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = f.coder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return f.block.Bytes()
}

// send sends a request, each part of its body in a frame of its own.
func (f *frames) send(head, body, trailer []string) (stream uint32) {
	f.t.Helper()
	stream, f.next = f.next, f.next+2
	check := func(err error) {
		if err != nil {
			f.t.Fatal(err)
		}
	}
	check(f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.encode(head), EndHeaders: true, EndStream: len(body)+len(trailer) == 0}))
	for i, part := range body {
		check(f.WriteData(stream, i == len(body)-1 && len(trailer) == 0, []byte(part)))
	}
	if len(trailer) > 0 {
		check(f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.encode(trailer), EndHeaders: true, EndStream: true}))
	}
	return stream
}

// outcome is the status of the answer, or what became of the stream.
func (f *frames) outcome(stream uint32) string {
	f.t.Helper()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			f.t.Fatal(err)
		}
		if _, gone := frame.(*http2.GoAwayFrame); gone {
			return "goaway"
		}
		if frame.Header().StreamID != stream {
			continue
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return "reset"
		}
	}
}

// exact is a backend that reads one message after the other by its framing, and gives
// all the bytes of each.
func exact(t *testing.T) (far *farEnd, messages chan string) {
	t.Helper()
	messages = make(chan string, 64)
	far = wired(t, func(c *peer, _ int) {
		for {
			head := c.request()
			if head == "" {
				return
			}
			message := head
			lower := strings.ToLower(head)
			switch {
			case strings.Contains(lower, "\r\ntransfer-encoding: chunked\r\n"):
				for last := false; !last; {
					size, err := c.in.ReadString('\n')
					n, broken := strconv.ParseInt(strings.TrimRight(size, "\r\n"), 16, 32)
					if message += size; err != nil || broken != nil {
						break
					}
					if last = n == 0; !last {
						chunk := make([]byte, n+2)
						_, _ = io.ReadFull(c.in, chunk)
						message += string(chunk)
					}
				}
				message += c.request()
			case strings.Contains(lower, "\r\ncontent-length: "):
				_, rest, _ := strings.Cut(lower, "\r\ncontent-length: ")
				number, _, _ := strings.Cut(rest, "\r\n")
				n := 0
				for _, digit := range number {
					n = n*10 + int(digit-'0')
				}
				body := make([]byte, n)
				if _, err := io.ReadFull(c.in, body); err != nil {
					return
				}
				message += string(body)
			}
			messages <- message
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	return far, messages
}

// sorted puts the lines of a head in order but for the first two, since the fields of
// HTTP/2 have none between names.
func sorted(message string) string {
	head, rest, _ := strings.Cut(message, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	if len(lines) > 2 {
		slices.Sort(lines[2:])
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + rest
}

const ourFields = "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: h.example\r\nX-Forwarded-Proto: http\r\nX-Goma-Hops: 1\r\nX-Real-Ip: 127.0.0.1\r\n"

// These are all the bytes that a backend of HTTP/1.1 reads of requests over HTTP/2:
// the head is written anew, framed by us, and nothing of what the client sends is a
// line or a message of its own.
func TestTheBytesThatABackendReadsOfHTTP2(t *testing.T) { // H6, G2
	t.Parallel()
	get := func(more ...string) []string {
		return append([]string{":method", "GET", ":scheme", "http", ":authority", "h.example", ":path", "/a%20b?x=1;y=%zz"}, more...)
	}
	post := func(more ...string) []string {
		return append([]string{":method", "POST", ":scheme", "http", ":authority", "h.example", ":path", "/p"}, more...)
	}
	far, messages := exact(t)
	e := newEngine(t, "handler", far.url(), engineOptions{})
	f := newFrames(t, e.Addr().String())
	for _, x := range []struct {
		name                string
		head, body, trailer []string
		want                string
	}{
		{
			"a request without a body", get("accept", "*/*"), nil, nil,
			"GET /a%20b?x=1;y=%zz HTTP/1.1\r\nHost: h.example\r\nAccept: */*\r\n" + ourFields + "\r\n",
		},
		{
			"the scheme of the client is not believed, and cookies are one line",
			get("cookie", "a=1", "cookie", "b=2", "te", "trailers"), nil, nil,
			"GET /a%20b?x=1;y=%zz HTTP/1.1\r\nHost: h.example\r\nCookie: a=1; b=2\r\nTe: trailers\r\n" + ourFields + "\r\n",
		},
		{
			"an empty body of a POST", post("content-length", "0"), nil, nil,
			"POST /p HTTP/1.1\r\nHost: h.example\r\nContent-Length: 0\r\n" + ourFields + "\r\n",
		},
		{
			"a body of known length", post("content-length", "9"), []string{"wiki", "pedia"}, nil,
			"POST /p HTTP/1.1\r\nHost: h.example\r\nContent-Length: 9\r\n" + ourFields + "\r\nwikipedia",
		},
		{
			"a body that looks like a request", post("content-length", "39"), []string{"GET /evil HTTP/1.1\r\nHost: h.example\r\n\r\n"}, nil,
			"POST /p HTTP/1.1\r\nHost: h.example\r\nContent-Length: 39\r\n" + ourFields + "\r\nGET /evil HTTP/1.1\r\nHost: h.example\r\n\r\n",
		},
		{
			"a body of unknown length", post(), []string{"0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n"}, nil,
			"POST /p HTTP/1.1\r\nHost: h.example\r\nTransfer-Encoding: chunked\r\n" + ourFields + "\r\n1b\r\n0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n\r\n0\r\n\r\n",
		},
		{
			"a body with a trailer", post("trailer", "x-sum, x_forwarded_for, transfer-encoding"), []string{"abc"},
			[]string{"x-sum", "1", "x_forwarded_for", "6.6.6.6", "x-unannounced", "2"},
			"POST /p HTTP/1.1\r\nHost: h.example\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n" + ourFields + "\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
		},
		{
			"what says where it comes from", get("x-forwarded-for", "6.6.6.6", "x_real_ip", "6.6.6.6", "forwarded", "for=6.6.6.6", "x-forwarded-proto", "https"), nil, nil,
			"GET /a%20b?x=1;y=%zz HTTP/1.1\r\nHost: h.example\r\n" + ourFields + "\r\n",
		},
		{
			"lookalikes of framing", post("content_length", "5", "transfer_encoding", "chunked", "content-length", "2"), []string{"ab"}, nil,
			"POST /p HTTP/1.1\r\nHost: h.example\r\nContent-Length: 2\r\n" + ourFields + "\r\nab",
		},
	} {
		stream := f.send(x.head, x.body, x.trailer)
		if got := f.outcome(stream); got != "200" {
			t.Fatalf("%s: %s", x.name, got)
		}
		if got := sorted(<-messages); got != sorted(x.want) {
			t.Errorf("%s: the backend read\n%q, want\n%q", x.name, got, sorted(x.want))
		}
	}
	// What is refused sends nothing, and the next request begins where the last ended.
	before, _ := far.all()
	for name, head := range map[string][]string{
		"a line in a value":           get("x", "a\r\nContent-Length: 5"),
		"a line in the path":          {":method", "GET", ":scheme", "http", ":authority", "h.example", ":path", "/ HTTP/1.1\r\nX: y"},
		"transfer-encoding":           post("transfer-encoding", "chunked"),
		"connection":                  get("connection", "x-forwarded-for"),
		"an upgrade":                  get("upgrade", "websocket"),
		"two lengths":                 post("content-length", "2", "content-length", "3"),
		"CONNECT":                     {":method", "CONNECT", ":authority", "h.example"},
		"a length and no body":        post("content-length", "5"),
		"another host":                get("host", "other.example"),
		"a path that climbs":          {":method", "GET", ":scheme", "http", ":authority", "h.example", ":path", "/a/..%2fb"},
		"a request for another proxy": {":method", "GET", ":scheme", "http", ":authority", "h.example", ":path", "http://other.example/"},
	} {
		f := newFrames(t, e.Addr().String())
		if got := f.outcome(f.send(head, nil, nil)); got == "200" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if after, _ := far.all(); after != before {
		t.Errorf("the backend read %q", strings.TrimPrefix(after, before))
	}
	stream := f.send(get(), nil, nil)
	if got := f.outcome(stream); got != "200" {
		t.Error(got)
	}
	if got := <-messages; !strings.HasPrefix(got, "GET /a%20b?x=1;y=%zz HTTP/1.1\r\nHost: h.example\r\n") {
		t.Errorf("the last request begins with %.40q", got)
	}
}
