// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

// marker is a request that only a message that was read in two ways can make.
const marker = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"

// refusedHeads are requests whose head alone leaves doubt, and their status.
var refusedHeads = map[string]string{
	// H1
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":  "400",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n":  "400",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n":                      "400",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n":                      "400",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n":             "400",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello":     "400",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n":                   "400",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r": "400",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n":              "400",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n":                   "400",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n":                 "501",
	"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":                       "400",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\nhello":                                 "400",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello":               "400",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello":               "400",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello":                                   "400",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\nhello":                                  "400",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n":                                        "400",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n":                                           "400",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775808\r\n\r\n":                       "400",
	// H3
	"GET / HTTP/1.1\nHost: h\n\n":                                                   "400",
	"GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n":                                  "400",
	"GET / HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n":                                "400",
	"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n folded\r\n\r\n":                          "400",
	"GET / HTTP/1.1\r\nHost: h\r\nX Y: a\r\n\r\n":                                   "400",
	"GET / HTTP/1.1\r\nHost: h\r\n: a\r\n\r\n":                                      "400",
	"GET / HTTP/1.1\r\n X: a\r\nHost: h\r\n\r\n":                                    "400",
	"GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n":                                         "400",
	"G\x01T / HTTP/1.1\r\nHost: h\r\n\r\n":                                          "400",
	"GET / HTTP/1.1\r\n\r\n":                                                        "400",
	"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n":                                  "400",
	"GET / HTTP/1.1\r\nHost: h/x\r\n\r\n":                                           "400",
	"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n":                                           "400",
	"GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n":                                     "400",
	"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n":                                      "400",
	"GET * HTTP/1.1\r\nHost: h\r\n\r\n":                                             "400",
	"GET /\r\n\r\n":                                                                 "400",
	"GET / HTTP/2.0\r\nHost: h\r\n\r\n":                                             "505",
	"GET / HTTP/3.0\r\nHost: h\r\n\r\n":                                             "505",
	"GET / HTTP/1.1\r\nHost: h\r\nExpect: 200-maybe\r\n\r\n":                        "417",
	"GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("a", 65<<10) + "\r\n\r\n":   "431", // H9
	"GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A: b\r\n", 300) + "\r\n":      "431", // H9
	"GET /" + strings.Repeat("a", 17<<10) + " HTTP/1.1\r\nHost: h\r\n\r\n":          "414", // H9
	"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n":                                 "405", // H4
	"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\nContent-Length: 5\r\n\r\nhello":       "405", // H4
	"connect h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n":                                 "405", // H4
	"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n":                                          "400", // P1
	"GET /..%2fadmin HTTP/1.1\r\nHost: h\r\n\r\n":                                   "400", // P1
	"GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n":                                          "400", // P1
	"GET /\\..\\admin HTTP/1.1\r\nHost: h\r\n\r\n":                                  "400", // P1
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nConnection: close, " + "\n": "400",
}

// H1, H3, H4: a request that two could read in two ways is refused before anybody
// else has read a byte of it, and its connection ends.
func TestNotOneByteOfARefusedRequestReachesABackend(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			far := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			e := newEngine(t, way, far.url(), engineOptions{})
			for head, want := range refusedHeads {
				c := e.dial()
				c.send("%s", head+marker)
				resp, _ := c.answer("GET")
				if got := fmt.Sprint(resp.StatusCode); got != want || !resp.Close {
					t.Errorf("%.80q: %s, close %v; want %s and the end", head, got, resp.Close, want)
				}
				c.ended()
			}
			if got, _ := far.all(); got != "" {
				t.Errorf("the backend got %q", got)
			}
		})
	}
}

// H2: a body that breaks its framing is never whole to the backend, and nothing
// behind it is a request.
func TestABodyInDoubtIsNeverWholeToABackend(t *testing.T) {
	t.Parallel()
	bodies := map[string]string{
		"5\nhello\r\n0\r\n\r\n":                                        "400",
		"5\r\nhello\n0\r\n\r\n":                                        "400",
		"5;a\nb\r\nhello\r\n0\r\n\r\n":                                 "400",
		"0x5\r\nhello\r\n0\r\n\r\n":                                    "400",
		"1_0\r\nhello\r\n0\r\n\r\n":                                    "400",
		"+5\r\nhello\r\n0\r\n\r\n":                                     "400",
		"-5\r\nhello\r\n0\r\n\r\n":                                     "400",
		"5\r\nhello0\r\n\r\n":                                          "400",
		"00000000000000005\r\nhello\r\n0\r\n\r\n":                      "400",
		"ffffffffffffffff\r\nhello\r\n0\r\n\r\n":                       "400",
		"5;" + strings.Repeat("a", 1<<10) + "\r\nhello\r\n0\r\n\r\n":   "400",
		strings.Repeat("1;"+strings.Repeat("a", 400)+"\r\nx\r\n", 200): "413",
		"0\r\nX: " + strings.Repeat("a", 70<<10) + "\r\n\r\n":          "431",
		"0\r\nX Y: a\r\n\r\n":                                          "400",
		"0\r\nX: a\nY: b\r\n\r\n":                                      "400",
	}
	far := func(t *testing.T) *farEnd {
		return wired(t, func(c *peer, _ int) {
			if c.request() != "" {
				_, _ = io.Copy(io.Discard, c.in)
			}
		})
	}
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			far := far(t)
			e := newEngine(t, way, far.url(), engineOptions{})
			for body, want := range bodies {
				c := e.dial()
				c.send("%s", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"+body+marker)
				resp, _ := c.answer("POST")
				if got := fmt.Sprint(resp.StatusCode); got != want || !resp.Close {
					t.Errorf("%.60q: %s, close %v; want %s", body, got, resp.Close, want)
				}
				c.ended()
			}
			if got, _ := far.all(); strings.Contains(got, "smuggled") || strings.Contains(got, "\r\n0\r\n") {
				t.Errorf("the backend got %q", got)
			}
		})
	}
}

// H3, H6: what is sent on is written anew, with one host, ours, and our framing.
func TestAHeadIsWrittenAnew(t *testing.T) {
	t.Parallel()
	for sends, want := range map[string]string{
		"GET http://Other.Example:80/a?b HTTP/1.1\r\nHost: h\r\n\r\n":                          "GET /a?b HTTP/1.1\r\nHost: other.example:80\r\n",
		"GET http://user@other/ HTTP/1.1\r\nHost: h\r\n\r\n":                                   "GET / HTTP/1.1\r\nHost: other\r\n",
		"\r\nGET / HTTP/1.1\r\nhOST:h  \r\n\r\n":                                               "GET / HTTP/1.1\r\nHost: h\r\n",
		"GET /a//b/../c HTTP/1.1\r\nHost: h.\r\n\r\n":                                          "GET /a/c HTTP/1.1\r\nHost: h\r\n",
		"GET /?a=%zz;b&a=1 HTTP/1.1\r\nHost: h\r\n\r\n":                                        "GET /?a=%zz;b&a=1 HTTP/1.1\r\nHost: h\r\n", // P4
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0002\r\n\r\nhi":                         "POST / HTTP/1.1\r\nHost: h\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n":            "POST / HTTP/1.1\r\nHost: h\r\n",
		"GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nKeep-Alive: 5\r\n\r\n":         "GET / HTTP/1.1\r\nHost: h\r\n",
		"DELETE / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nX-A:\t b \t\r\n\r\nhi":           "DELETE / HTTP/1.1\r\nHost: h\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nTransfer_Encoding: chunked\r\nContent_Length: 9\r\n\r\n": "GET / HTTP/1.1\r\nHost: h\r\n",
	} {
		for _, way := range ways {
			heads := make(chan string, 1)
			far := wired(t, func(c *peer, _ int) {
				heads <- c.request()
				c.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
			})
			e := newEngine(t, way, far.url(), engineOptions{})
			c := e.dial()
			c.send("%s", sends)
			if resp, _ := c.answer("GET"); resp.StatusCode != http.StatusOK {
				t.Fatalf("%s, %.60q: %d", way, sends, resp.StatusCode)
			}
			got := <-heads
			lower := strings.ToLower(got)
			frames := strings.Count(lower, "content-length:") + strings.Count(lower, "transfer-encoding:")
			body := strings.Contains(sends, "POST") || strings.Contains(sends, "DELETE")
			switch {
			case !strings.HasPrefix(got, want), strings.Count(lower, "\r\nhost:") != 1:
				t.Errorf("%s, %q: %q, want %q", way, sends, got, want)
			case body != (frames == 1), frames > 1, strings.Contains(lower, "0002"), strings.Contains(lower, "keep-alive"), strings.Contains(lower, "_"):
				t.Errorf("%s, %q: framing of %q", way, sends, got)
			}
		}
	}
}

// H12: answers come in the order of their requests, whatever serves them.
func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	inEveryWay(t, echo, engineOptions{}, func(t *testing.T, e *engine) {
		c := e.dial()
		const n = 200
		go func() {
			var b strings.Builder
			for i := range n {
				switch i % 4 {
				case 0:
					fmt.Fprintf(&b, "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i)
				case 1:
					fmt.Fprintf(&b, "POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", i, i*100, strings.Repeat("x", i*100))
				case 2:
					fmt.Fprintf(&b, "POST /%d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", i)
				default:
					fmt.Fprintf(&b, "HEAD /%d HTTP/1.1\r\nHost: h\r\n\r\n", i)
				}
			}
			_, _ = io.WriteString(c.Conn, b.String())
		}()
		for i := range n {
			method := []string{"GET", "POST", "POST", "HEAD"}[i%4]
			resp, text := c.answer(method)
			if want := fmt.Sprintf("%s /%d", method, i); resp.Header.Get("X-Echo") != want || method != "HEAD" && !strings.HasPrefix(text, want) {
				t.Fatalf("answer %d is %q %.40q", i, resp.Header.Get("X-Echo"), text)
			}
		}
	})
}

func TestConnectionsLastAsTheirVersionSays(t *testing.T) {
	t.Parallel()
	inEveryWay(t, echo, engineOptions{}, func(t *testing.T, e *engine) {
		for _, v := range []struct {
			head  string
			lasts bool
			says  string // of the connection
		}{
			{"GET / HTTP/1.1\r\nHost: h\r\n\r\n", true, ""},
			{"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false, "close"},
			{"GET / HTTP/1.1\r\nHost: h\r\nConnection: a, CLOSE\r\n\r\n", false, "close"},
			{"GET / HTTP/1.0\r\n\r\n", false, "close"},
			{"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true, "keep-alive"},
			{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi\r\n", true, ""}, // and an empty line too many
		} {
			c := e.dial()
			c.send("%s", v.head)
			method, _, _ := strings.Cut(v.head, " ")
			head := strings.ToLower(c.head())
			body := fmt.Sprintf("%s / %s", method, map[string]string{"POST": "hi"}[method])
			if !strings.Contains(head, fmt.Sprintf("content-length: %d\r\n", len(body))) {
				t.Fatalf("%q: %q", v.head, head)
			}
			c.read(body)
			if says := "connection: " + v.says; v.says != "" && !strings.Contains(head, says) || v.says == "" && strings.Contains(head, "connection:") {
				t.Errorf("%q: %q, want %q", v.head, head, says)
			}
			if !v.lasts {
				c.ended()
				continue
			}
			c.send("GET /again HTTP/1.1\r\nHost: h\r\n\r\n")
			if _, text := c.answer("GET"); text != "GET /again " {
				t.Errorf("%q: then %q", v.head, text)
			}
		}
	})
}

// A client of HTTP/1.0 knows no chunks: the end of the connection is that of the body.
func TestAStreamToAnOldClientEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	far := func(t *testing.T) string {
		return answering(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n").url()
	}
	inEveryWay(t, far, engineOptions{}, func(t *testing.T, e *engine) {
		c := e.dial()
		c.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
		if head := strings.ToLower(c.head()); !strings.Contains(head, "connection: close") || strings.Contains(head, "chunked") {
			t.Errorf("%q", head)
		}
		c.read("abc")
		c.ended()
	})
}

// An answer without a body ends at its head, whatever its fields say.
func TestAnswersWithoutABodyEndAtTheirHead(t *testing.T) {
	t.Parallel()
	for _, v := range []struct{ method, backend, want, never string }{
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "content-length: 5\r\n", "chunked"},
		{"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "200 ok", "content-length"},
		{"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "204 no content", "content-length"},
		{"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nEtag: \"a\"\r\n\r\n", "etag: \"a\"", "chunked"},
		{"GET", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", "304 not modified", "chunked"},
		{"POST", "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", "content-length: 0", "chunked"},
	} {
		for _, way := range ways {
			c := newEngine(t, way, answering(t, v.backend).url(), engineOptions{}).dial()
			for range 2 { // what follows is the next answer
				c.send("%s / HTTP/1.1\r\nHost: h\r\n%s\r\n", v.method, map[string]string{"POST": "Content-Length: 0\r\n"}[v.method])
				if head := strings.ToLower(c.head()); !strings.Contains(head, v.want) || strings.Contains(head, v.never) {
					t.Errorf("%s, %s %q: %q", way, v.method, v.backend, head)
				}
			}
		}
	}
}

// Chunks and trailers pass both ways, and the trailers without what has no place there.
func TestChunksAndTrailersPassBothWays(t *testing.T) { // P6, H6
	t.Parallel()
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			far := wired(t, func(c *peer, _ int) {
				c.request()
				var got strings.Builder
				for !strings.HasSuffix(got.String(), "0\r\nX-Sum: 1\r\n\r\n") {
					b, err := c.in.ReadByte()
					if err != nil {
						return
					}
					got.WriteByte(b)
				}
				c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Done\r\nTrailer: Content-Length\r\n\r\n" +
					"4\r\nwiki\r\n5;ext=1\r\npedia\r\n0\r\nX-Done: yes\r\nX-More: unannounced\r\nContent-Length: 3\r\nTransfer-Encoding: gzip\r\n\r\n")
			})
			c := newEngine(t, way, far.url(), engineOptions{}).dial()
			c.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-Forwarded-For, Content-Length\r\nTE: trailers\r\n\r\n" +
				"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Forwarded-For: 1.1.1.1\r\nX_Forwarded_For: 1.1.1.1\r\nContent-Length: 4\r\nX-Unannounced: 1\r\n\r\n")
			resp, text := c.answer("POST")
			if text != "wikipedia" || resp.Trailer.Get("X-Done") != "yes" || resp.Trailer.Get("X-More") != "unannounced" ||
				resp.Trailer.Get("Content-Length") != "" || resp.Trailer.Get("Transfer-Encoding") != "" {
				t.Errorf("%q, trailers %v", text, resp.Trailer)
			}
			got, _ := far.all()
			if !strings.Contains(got, "Te: trailers\r\n") || strings.Contains(got, "1.1.1.1") {
				t.Errorf("the backend got %q", got)
			}
		})
	}
}

// What a middleware says of the user under a name like X-Forwarded-User arrives; what
// the client says under such a name does not.
func TestOnlyMiddlewaresSayWhomARequestIsForwardedFor(t *testing.T) { // P6, P8
	t.Parallel()
	naming := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for name := range r.Header {
				if strings.Contains(strings.ToLower(name), "forwarded") {
					t.Errorf("a middleware saw %s", name)
				}
			}
			r.Header["X-Forwarded-User"] = []string{"ann"}
			r.Header["X-Forwarded-For"] = []string{"6.6.6.6"}
			next.ServeHTTP(w, r)
		})
	}
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			far := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			c := newEngine(t, way, far.url(), engineOptions{wrap: naming}).dial()
			c.send("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-User: forged\r\nX_Forwarded_User: forged\r\nX-Forwarded-Prefix: forged\r\nForwarded: for=forged\r\n\r\n")
			c.answer("GET")
			got, _ := far.all()
			named := strings.Contains(got, "X-Forwarded-User: ann\r\n")
			if strings.Contains(got, "forged") || strings.Contains(got, "6.6.6.6") || named != (way == "middleware") {
				t.Errorf("the backend got %q", got)
			}
		})
	}
}

// P7: what concerns one hop ends there, in both directions; what the gateway sets
// cannot be listed away.
func TestWhatConcernsOneHopEndsThere(t *testing.T) {
	t.Parallel()
	far := func(t *testing.T) *farEnd {
		return answering(t, "HTTP/1.1 200 OK\r\nConnection: X-Hop, X-Goma-Request-Id\r\nX-Hop: 1\r\nKeep-Alive: timeout=1\r\nProxy-Authenticate: Basic\r\n"+
			"Upgrade: h2c\r\nX-End: 1\r\nContent-Length: 0\r\n\r\n")
	}
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			far := far(t)
			c := newEngine(t, way, far.url(), engineOptions{}).dial()
			c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: \r\nConnection: close-not, X-Hop, X-Forwarded-For, Host\r\nConnection: HTTP2-Settings\r\nX-Hop: 1\r\n" +
				"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\nProxy-Authorization: Basic eDp5\r\nTE: gzip\r\nX-End: 1\r\n\r\n")
			resp, _ := c.answer("GET")
			for _, name := range []string{"X-Hop", "Keep-Alive", "Proxy-Authenticate", "Upgrade", "Connection"} {
				if resp.Header.Get(name) != "" {
					t.Errorf("the client got %s", name)
				}
			}
			got, _ := far.all()
			lower := strings.ToLower(got)
			for _, name := range []string{"x-hop", "upgrade", "http2-settings", "keep-alive", "proxy-", "te:", "connection"} {
				if strings.Contains(lower, "\n"+name) {
					t.Errorf("the backend got %s in %q", name, got)
				}
			}
			if resp.Header.Get("X-End") != "1" || !strings.Contains(got, "X-End: 1") || !strings.Contains(got, "X-Forwarded-For: 127.0.0.1\r\n") || strings.Count(lower, "\nhost: h") != 1 {
				t.Errorf("%v; the backend got %q", resp.Header, got)
			}
		})
	}
}

// P7: even a trusted proxy's client lists nothing away that is ours, and an empty line
// does not hide the next.
func TestAChainThatIsListedAwayBeginsAnew(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		far := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		e := newEngine(t, way, far.url(), engineOptions{proxy: config.Proxy{Enabled: true, TrustedProxies: []string{"127.0.0.0/8"}}})
		for connection, want := range map[string]string{
			"Connection: \r\nConnection: close, x-forwarded-for, X-Once": "X-Forwarded-For: 127.0.0.1\r\n",
			"Connection: close": "X-Forwarded-For: 1.2.3.4, 127.0.0.1\r\n",
		} {
			c := e.dial()
			c.send("GET / HTTP/1.1\r\nHost: h\r\n%s\r\nX-Forwarded-For: 1.2.3.4\r\nX-Once: %d\r\n\r\n", connection, len(want))
			c.answer("GET")
			got, _ := far.all()
			if once := strings.Contains(got, fmt.Sprintf("X-Once: %d\r\n", len(want))); !strings.Contains(got, want) || once == strings.Contains(connection, "X-Once") {
				t.Errorf("%s, %q: the backend got %q", way, connection, got)
			}
		}
	}
}

// The three ways differ in nothing that a backend or a client can see.
func TestAllWaysAreOne(t *testing.T) {
	t.Parallel()
	requests := []string{
		"GET /a?b=c HTTP/1.1\r\nHost: H:80\r\nAccept: */*\r\nX-Two: 1\r\nX-Two: 2\r\nx-lower: a\r\nCookie: a=b\r\nX-Forwarded-For: 1.2.3.4\r\nX_Real_IP: 1.2.3.4\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Type: a/b\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
		"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: mine\r\nTE: trailers, gzip\r\nConnection: TE\r\n\r\n",
		"OPTIONS /x HTTP/1.1\r\nHost: h\r\nOrigin: a\r\n\r\n",
	}
	const answer = "HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: 0\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nServer: s\r\nX-Y: z\r\n\r\n"
	for _, request := range requests {
		var sent, got []string
		for _, way := range ways {
			far := wired(t, func(c *peer, _ int) {
				head := c.request()
				if strings.Contains(head, "Content-Length: 5") {
					_, _ = io.ReadFull(c.in, make([]byte, 5))
				}
				c.say(strings.Replace(answer, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
			})
			c := newEngine(t, way, far.url(), engineOptions{}).dial()
			c.send("%s", request)
			got = append(got, sortedLines(c.head()))
			all, _ := far.all()
			head, body, _ := strings.Cut(all, "\r\n\r\n")
			sent = append(sent, sortedLines(strings.ReplaceAll(head, far.Addr().String(), "far"))+"\n"+body)
		}
		for i := 1; i < len(ways); i++ {
			if sent[i] != sent[0] {
				t.Errorf("%q: the backend got\n%s\nin the way %s, and\n%s\nin the way %s", request, sent[0], ways[0], sent[i], ways[i])
			}
			if got[i] != got[0] {
				t.Errorf("%q: the client got\n%s\nin the way %s, and\n%s\nin the way %s", request, got[0], ways[0], got[i], ways[i])
			}
		}
	}
}
