// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// describe answers with all views of the path that a handler can take.
func describe(w http.ResponseWriter, r *http.Request) {
	x := exchange.Of(r)
	_, _ = fmt.Fprintf(w, "%s|%s|%s|%s|%s|%s", x.Path, r.URL.EscapedPath(), r.RequestURI, r.URL.RawQuery, x.Host, r.Host)
}

func TestEverybodySeesTheSamePathQueryAndHost(t *testing.T) { // P1, P2, P4, R3, H3
	t.Parallel()
	s := serve(t, Options{}, describe)
	for target, want := range map[string]string{
		"/":                               "/|/|/||h.example|h.example",
		"/a//b/./c/../d":                  "/a/b/d|/a/b/d|/a/b/d||h.example|h.example",
		"/a%2fb/%41?x=%2f&&y=;%zz":        "/a%2Fb/A|/a%2Fb/A|/a%2Fb/A?x=%2f&&y=;%zz|x=%2f&&y=;%zz|h.example|h.example",
		"/a?":                             "/a|/a|/a?||h.example|h.example",
		"//evil.example/x":                "/evil.example/x|/evil.example/x|/evil.example/x||h.example|h.example",
		"/a?b?c":                          "/a|/a|/a?b?c|b?c|h.example|h.example",
		"/%E2%82%AC":                      "/%E2%82%AC|/%E2%82%AC|/%E2%82%AC||h.example|h.example",
		"/x/%252e%252e/y":                 "/x/%252e%252e/y|/x/%252e%252e/y|/x/%252e%252e/y||h.example|h.example",
		"http://OTHER.example.:080":       "/|/|/||other.example:80|other.example:80",
		"http://other.example/a/../b?c=d": "/b|/b|/b?c=d|c=d|other.example|other.example",
		"https://other.example?c=/d":      "/|/|/?c=/d|c=/d|other.example|other.example",
		"http://user:pass@other.example/": "/|/|/||other.example|other.example",
	} {
		resp := s.raw("GET " + target + " HTTP/1.1\r\nHost: H.Example.\r\n\r\n")
		if got := text(resp); resp.StatusCode != 200 || got != want {
			t.Errorf("%s: %d %s, want %s", target, resp.StatusCode, got, want)
		}
	}
}

func TestWhatHasNoNormalFormReachesNobody(t *testing.T) { // P1, H3, H4, H9
	t.Parallel()
	var hits atomic.Int32
	s := serve(t, Options{}, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	get := func(target string) string { return "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n" }
	for _, c := range []struct {
		request string
		status  int
		reason  string // in the log; empty for what the server refuses by itself
	}{
		{get("/a/..%2fb"), 400, "bad_path"},
		{get("/%2e%2e/b"), 400, "bad_path"},
		{get("/../b"), 400, "bad_path"},
		{get("/x/..;/admin"), 400, "bad_path"},
		{get(`/a\..\b`), 400, "bad_path"},
		{get("/a%00"), 400, "bad_path"},
		{get("/a%0d%0aX:%20y"), 400, "bad_path"},
		{get("/%c0%ae%c0%ae/"), 400, "bad_path"},
		{get("/\xff"), 400, "bad_path"},
		{get("/a#frag"), 400, "bad_path"},
		{get("/a?q#frag"), 400, "bad_path"},
		{get("/a%zz"), 400, ""},
		{get("/a\x01"), 400, ""},
		{get("/a b"), 400, ""},
		{get("*"), 400, "bad_path"},
		{get("x:y://z/secret"), 400, "bad_path"},
		{get("ftp://h/secret"), 400, "bad_path"},
		{get("http:///secret"), 400, "bad_path"},
		{get("secret"), 400, ""},
		{get("/" + strings.Repeat("a", maxTargetBytes)), 414, "long_target"},
		{"GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A: b\r\n", maxFields+1) + "\r\n", 431, "many_fields"},
		{"GET / HTTP/1.1\r\nHost: h\r\nA: " + strings.Repeat("b", maxHeaderBytes+8192) + "\r\n\r\n", 431, ""},
		{"GET / HTTP/1.1\r\n\r\n", 400, ""},
		{"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, ""},
		{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, ""},
		{"GET / HTTP/1.1\r\nHost: a..b\r\n\r\n", 400, "bad_host"},
		{"GET / HTTP/1.1\r\nHost: a%2eb\r\n\r\n", 400, "bad_host"},
		{"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400, "bad_host"},
		{"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, "bad_host"},
		{"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505, ""},
		{"GET /\r\nHost: h\r\n\r\n", 400, ""},
		{"GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n", 400, ""},
		{"GET / HTTP/1.1\r\nHost: h\r\n A: b\r\n\r\n", 400, ""},
		{"GET / HTTP/1.1\r\nHost: h\r\nA: b\x00\r\n\r\n", 400, ""},
		{"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", 405, "connect"},
		{"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\nContent-Length: 30\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n", 405, "connect"},
	} {
		before := s.log.String()
		resp := s.raw(c.request)
		if resp.StatusCode != c.status || !resp.Close {
			t.Errorf("%.60q: %d, closing %v; want %d and an end", c.request, resp.StatusCode, resp.Close, c.status)
		}
		if said := strings.TrimPrefix(s.log.String(), before); c.reason != "" && !strings.Contains(said, "reason="+c.reason+" ") {
			t.Errorf("%.60q: the log says %q, want %s", c.request, said, c.reason)
		}
		if c.status == 405 && resp.Header.Get("Allow") == "" {
			t.Errorf("%.60q: a 405 without Allow", c.request)
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("%d of the requests reached the handler", n)
	}
}

func TestOptionsForTheServerMatchesNoRoute(t *testing.T) { // H3
	t.Parallel()
	s := serve(t, Options{}, func(http.ResponseWriter, *http.Request) { t.Error("it reached the handler") })
	resp := s.raw("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")
	if resp.StatusCode != 204 || !strings.Contains(resp.Header.Get("Allow"), "GET") || resp.Close {
		t.Errorf("%d %v, closing %v", resp.StatusCode, resp.Header, resp.Close)
	}
}

func TestARequestOfHTTP10NeedsNoHost(t *testing.T) { // H3
	t.Parallel()
	s := serve(t, Options{}, describe)
	if got := text(s.raw("GET /a HTTP/1.0\r\n\r\n")); got != "/a|/a|/a|||" {
		t.Errorf("%s", got)
	}
}

func TestRefusalsAreWrappedAsAnswersAre(t *testing.T) { // R6, B4
	t.Parallel()
	var seen []string
	wrap := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			x := exchange.Of(r)
			seen = append(seen, x.Reason+" "+x.ClientIP.String()+" "+x.Host)
		})
	}
	s := serve(t, Options{Wrap: wrap}, ok)
	c := s.dial()
	answers := bufio.NewReader(c)
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	s.answer(answers, "GET")
	_, _ = io.WriteString(c, "GET /.. HTTP/1.1\r\nHost: h\r\n\r\n")
	s.answer(answers, "GET")
	if got := strings.Join(seen, ","); got != " 127.0.0.1 h,bad_path 127.0.0.1 h" {
		t.Errorf("%s", got)
	}
}

// frames is an HTTP/2 connection in the hands of a test.
type frames struct {
	*http2.Framer

	s       *serving
	conn    net.Conn
	encoded strings.Builder
	encoder *hpack.Encoder
	stream  uint32
}

func (s *serving) frames() *frames {
	s.t.Helper()
	return s.framesOn(s.dial())
}

func (s *serving) framesOn(c net.Conn) *frames {
	s.t.Helper()
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		s.t.Fatal(err)
	}
	f := &frames{Framer: http2.NewFramer(c, c), s: s, conn: c, stream: 1}
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.encoder = hpack.NewEncoder(&f.encoded)
	if err := f.WriteSettings(); err != nil {
		s.t.Fatal(err)
	}
	return f
}

// ask sends a head and gives the status of its answer, or what ended the stream.
func (f *frames) ask(fields ...string) string {
	f.s.t.Helper()
	f.encoded.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = f.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	id := f.stream
	f.stream += 2
	err := f.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: []byte(f.encoded.String()), EndHeaders: true, EndStream: true,
	})
	for err == nil {
		var frame http2.Frame
		if frame, err = f.ReadFrame(); err != nil || frame.Header().StreamID != id {
			if _, gone := frame.(*http2.GoAwayFrame); gone {
				return "goaway"
			}
			continue
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return "reset"
		}
	}
	f.s.t.Fatalf("no answer to %q: %v", fields, err)
	return ""
}

func TestAnHTTP2RequestHasOneFormToo(t *testing.T) { // P1, G2, H4
	t.Parallel()
	s := serve(t, Options{}, func(_ http.ResponseWriter, r *http.Request) {
		x := exchange.Of(r)
		if x.Scheme != "http" || x.Host != "h" || r.Header["Host"] != nil || x.Path != "/ok" {
			t.Errorf("%s %s %v %s", x.Scheme, x.Host, r.Header, x.Path)
		}
	})
	f := s.frames()
	for _, c := range []struct {
		want   string
		fields []string
	}{
		{"200", []string{":method", "GET", ":scheme", "http", ":authority", "H", ":path", "/ok"}},
		{"200", []string{":method", "GET", ":scheme", "https", ":authority", "h", ":path", "/a/../ok"}},
		{"200", []string{":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/ok", "host", "H."}},
		{"200", []string{":method", "GET", ":scheme", "http", ":path", "/ok", "host", "h"}},
		{"400", []string{":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/ok", "host", "other"}},
		{"400", []string{":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/ok", "host", "h", "host", "other"}},
		{"400", []string{":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/.."}},
		{"400", []string{":method", "GET", ":scheme", "http", ":authority", "a..b", ":path", "/ok"}},
		{"405", []string{":method", "CONNECT", ":authority", "h:1"}},
		{"204", []string{":method", "OPTIONS", ":scheme", "http", ":authority", "h", ":path", "*"}},
		{"200", []string{":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/ok"}}, // still the same connection
	} {
		if got := f.ask(c.fields...); got != c.want {
			t.Errorf("%q: %s, want %s", c.fields, got, c.want)
		}
	}
}
