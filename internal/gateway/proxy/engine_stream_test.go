// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

func TestAClientThatAsksFirstIsAnsweredOnce(t *testing.T) { // H7
	t.Parallel()
	ask := "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n"
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			far := wired(t, func(c *peer, n int) {
				if !strings.Contains(c.request(), "Expect: 100-continue\r\n") {
					return
				}
				if n == 1 { // the second client is refused
					c.say("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
					_, _ = io.Copy(io.Discard, c.in)
					return
				}
				c.say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
				body := make([]byte, 5)
				_, _ = io.ReadFull(c.in, body)
				c.say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n" + string(body))
			})
			e := newEngine(t, way, far.url(), engineOptions{})
			c := e.dial()
			c.send("%s", ask)
			c.read("HTTP/1.1 100 Continue\r\n\r\n")
			c.send("hello")
			if resp, text := c.answer("POST"); resp.StatusCode != 200 || text != "hello" {
				t.Errorf("%d %q", resp.StatusCode, text)
			}
			c.send("%s", ask) // the same connection goes on
			if resp, _ := c.answer("POST"); resp.StatusCode != 413 || !resp.Close {
				t.Errorf("%d, close %v", resp.StatusCode, resp.Close)
			}
			c.ended()
			if got, _ := far.all(); strings.Count(got, "hello") != 1 {
				t.Errorf("the backend got %q", got)
			}
		})
	}
}

func TestInformationalAnswersPassInTheirOrder(t *testing.T) { // H7
	t.Parallel()
	far := func(t *testing.T) string {
		return answering(t, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"+
			"HTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\nHTTP/1.1 200 OK\r\nX-Final: 1\r\nContent-Length: 2\r\n\r\nok").url()
	}
	inEveryWay(t, far, engineOptions{}, func(t *testing.T, e *engine) {
		c := e.dial()
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		for _, link := range []string{"</a>", "</b>"} {
			if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 103 ") || !strings.Contains(head, "Link: "+link) || strings.Contains(head, "X-Hop") {
				t.Errorf("%q", head)
			}
		}
		if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 200 ") || strings.Contains(head, "Link") || !strings.Contains(head, "X-Final: 1") {
			t.Errorf("%q", head)
		}
		c.read("ok")
		c = e.dial()
		c.send("GET / HTTP/1.0\r\n\r\n")
		if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 200 ") {
			t.Errorf("a client of HTTP/1.0 got %q", head)
		}
	})
}

// H6, H7: what a backend must not say ends in 502, and its connection is not used again.
func TestABackendIsReadAsStrictlyAsAClient(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100),
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
		"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: a\x00\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 2<<20) + "\r\n\r\n",
		"HTTP/1.1 0200 OK\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "nonsense\r\n\r\n", "",
	} {
		for _, way := range ways {
			far := wired(t, func(c *peer, _ int) {
				if c.request() != "" {
					c.say(answer)
				}
			})
			c := newEngine(t, way, far.url(), engineOptions{}).dial()
			for range 2 {
				c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
				resp, _ := c.answer("GET")
				for resp.StatusCode == http.StatusEarlyHints {
					resp, _ = c.answer("GET")
				}
				if resp.StatusCode != http.StatusBadGateway {
					t.Errorf("%s, %.60q: %d", way, answer, resp.StatusCode)
				}
			}
			if _, conns := far.all(); conns != 2 {
				t.Errorf("%s, %.60q: %d connections", way, answer, conns)
			}
		}
	}
}

// H6: bytes behind an answer are nobody's next answer.
func TestWhatFollowsAnAnswerIsNobodysAnswer(t *testing.T) {
	t.Parallel()
	const extra = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	for method, answer := range map[string]string{
		"GET":    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + extra,
		"HEAD":   "HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\n" + extra,
		"PUT":    "HTTP/1.1 204 No Content\r\nContent-Length: 43\r\n\r\n" + extra,
		"DELETE": "HTTP/1.1 304 Not Modified\r\nContent-Length: 43\r\n\r\n" + extra,
	} {
		for _, way := range ways {
			far := answering(t, answer)
			e := newEngine(t, way, far.url(), engineOptions{})
			for range 3 {
				c := e.dial()
				c.send("%s / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s\r\n", method, map[string]string{"PUT": "Content-Length: 0\r\n"}[method])
				if _, text := c.answer(method); strings.Contains(text, "evil") {
					t.Errorf("%s, %s: %q", way, method, text)
				}
				c.ended()
			}
			if _, conns := far.all(); conns != 3 {
				t.Errorf("%s, %s: %d connections", way, method, conns)
			}
		}
	}
}

// H5: a tunnel has what either side sent ahead, and each half ends by itself; the
// client that has ended its half is not taken for one that is gone.
func TestATunnelHasEarlyDataAndTwoHalves(t *testing.T) {
	t.Parallel()
	far := func(t *testing.T) string {
		return wired(t, func(c *peer, _ int) {
			if !strings.Contains(c.request(), "Connection: Upgrade\r\nUpgrade: WebSocket\r\n") {
				return
			}
			c.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nfrom afar")
			said, _ := io.ReadAll(c.in)         // until the client has ended its half
			time.Sleep(1200 * time.Millisecond) // longer than it takes to notice a client that is gone
			c.say(fmt.Sprintf("|%s|", said))
		}).url()
	}
	inEveryWay(t, far, engineOptions{}, func(t *testing.T, e *engine) {
		c := e.dial()
		c.send("GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\nahead ")
		if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 101 ") || !strings.Contains(head, "Upgrade: websocket\r\n") || !strings.Contains(head, "Sec-Websocket-Accept: x") {
			t.Errorf("%q", head)
		}
		c.read("from afar")
		c.send("and later")
		_ = c.Conn.(*net.TCPConn).CloseWrite()
		c.read("|ahead and later|")
		c.ended()
	})
}

// H5: h2c opens no tunnel, and the connection goes on after it was asked for.
func TestNoTunnelForAnythingElse(t *testing.T) {
	t.Parallel()
	inEveryWay(t, echo, engineOptions{}, func(t *testing.T, e *engine) {
		c := e.dial()
		for _, upgrade := range []string{"h2c", "TLS/1.0", "websocket, h2c", "foo"} {
			c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: %s\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", upgrade)
			if resp, text := c.answer("GET"); resp.StatusCode != 200 || text != "GET / " {
				t.Errorf("%s: %d %q", upgrade, resp.StatusCode, text)
			}
		}
	})
}

// H8: an event is there before the next one exists.
func TestEventsAreThereAtOnce(t *testing.T) {
	t.Parallel()
	for _, framing := range []string{"Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "Content-Length: 27\r\n"} {
		for _, way := range ways {
			t.Run(way+" "+framing[:10], func(t *testing.T) {
				t.Parallel()
				seen := make(chan struct{})
				far := wired(t, func(c *peer, _ int) {
					c.request()
					c.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + framing + "\r\n")
					if framing[8] != 'L' { // one with a length waits for its first bytes
						<-seen
					}
					for i := range 3 {
						event := fmt.Sprintf("data: %d\n\n", i)
						if strings.HasPrefix(framing, "Transfer") {
							event = fmt.Sprintf("%x\r\n%s\r\n", len(event), event)
						}
						c.say(event)
						<-seen
					}
					if strings.HasPrefix(framing, "Transfer") {
						c.say("0\r\n\r\n")
					}
				})
				c := newEngine(t, way, far.url(), engineOptions{}).dial()
				c.send("GET / HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n")
				resp, err := http.ReadResponse(c.in, nil)
				if err != nil {
					t.Fatal(err)
				}
				body := bufio.NewReader(resp.Body)
				if framing[8] != 'L' {
					seen <- struct{}{}
				}
				for i := range 3 {
					if line, err := body.ReadString('\n'); err != nil || line != fmt.Sprintf("data: %d\n", i) {
						t.Fatalf("%q, %v", line, err)
					}
					if _, err := body.ReadString('\n'); err != nil {
						t.Fatal(err)
					}
					seen <- struct{}{}
				}
				if rest, err := io.ReadAll(body); len(rest) > 0 || err != nil {
					t.Errorf("%q, %v", rest, err)
				}
			})
		}
	}
}

// H11: an answer that breaks off looks like one.
func TestAnAnswerThatBreaksOffLooksLikeOne(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"a length":    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
		"a large one": "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhello",
		"a chunk":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
		"no last one": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"nonsense":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n",
	} {
		for _, version := range []string{"1.1", "1.0"} {
			for _, way := range ways {
				far := wired(t, func(c *peer, _ int) {
					c.request()
					c.say(answer)
				})
				c := newEngine(t, way, far.url(), engineOptions{}).dial()
				c.send("GET / HTTP/%s\r\nHost: h\r\n\r\n", version)
				resp, err := http.ReadResponse(c.in, nil)
				if err != nil {
					continue // not even a head
				}
				if text, err := io.ReadAll(resp.Body); err == nil {
					t.Errorf("%s, %s, %s: %q is whole", way, name, version, text)
				}
			}
		}
	}
}

// H11: a client that goes away ends the work of the backend.
func TestWorkForAClientThatIsGoneEnds(t *testing.T) {
	t.Parallel()
	for _, begun := range []string{"", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\nhello"} {
		for _, way := range ways {
			t.Run(fmt.Sprintf("%s %.60q", way, begun), func(t *testing.T) {
				t.Parallel()
				asked, ended := make(chan struct{}), make(chan error, 1)
				far := wired(t, func(c *peer, _ int) {
					c.request()
					c.say(begun)
					close(asked)
					_, err := c.in.ReadByte()
					ended <- err
				})
				c := newEngine(t, way, far.url(), engineOptions{}).dial()
				c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
				<-asked
				_ = c.Close()
				if err := <-ended; errors.Is(err, os.ErrDeadlineExceeded) || err == nil {
					t.Errorf("the backend's connection: %v", err)
				}
			})
		}
	}
}

// H4, H7, H11: a refusal while the client still sends reaches it, and its
// connection ends; that of the backend is not used again.
func TestAnEarlyAnswerEndsBothConnections(t *testing.T) {
	t.Parallel()
	for _, head := range []string{
		"Content-Length: 50000", "Content-Length: 5000000", "Transfer-Encoding: chunked",
	} {
		for _, way := range ways {
			t.Run(way+" "+head, func(t *testing.T) {
				t.Parallel()
				far := wired(t, func(c *peer, _ int) {
					if c.request() == "" {
						return
					}
					_, _ = c.in.ReadByte()
					c.say("HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmuch")
					_ = c.Conn.(*net.TCPConn).CloseWrite()
					_, _ = io.Copy(io.Discard, c.in)
				})
				e := newEngine(t, way, far.url(), engineOptions{})
				for range 2 {
					c := e.dial()
					c.send("POST / HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n", head)
					if strings.HasPrefix(head, "Content-Length: ") {
						c.send("%s", strings.Repeat("x", 1000))
					} else {
						c.send("5\r\nhello\r\n")
					}
					resp, text := c.answer("POST")
					if resp.StatusCode != 413 || text != "much" {
						t.Errorf("%d %q", resp.StatusCode, text)
					}
					c.ended()
				}
				if _, conns := far.all(); conns != 2 {
					t.Errorf("%d connections", conns)
				}
			})
		}
	}
}

// H8: what passes through takes no memory, whatever its size and framing.
func TestLargeBodiesTakeNoMemory(t *testing.T) {
	// Not parallel: what is allocated meanwhile must be ours.
	const size = 96 << 20
	for _, framing := range []string{"length", "chunks", "close"} {
		for _, way := range ways {
			target := serveBackend(t, func(w http.ResponseWriter, r *http.Request) {
				if n, err := io.Copy(io.Discard, r.Body); err != nil || n != size {
					panic(http.ErrAbortHandler)
				}
				switch framing {
				case "length":
					w.Header().Set("Content-Length", strconv.Itoa(size))
				case "close":
					w.Header().Set("Transfer-Encoding", "identity")
				}
				_, _ = io.CopyN(w, zeros{}, size)
			}).URL
			e := newEngine(t, way, target, engineOptions{})
			c := e.dial()
			var sending sync.WaitGroup
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			sending.Go(func() {
				block := make([]byte, 64<<10)
				if framing == "chunks" {
					_, _ = io.WriteString(c.Conn, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
					block = fmt.Appendf(nil, "%x\r\n%s\r\n", len(block), block)
				} else {
					_, _ = fmt.Fprintf(c.Conn, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", size)
				}
				for range size / (64 << 10) {
					_, _ = c.Write(block)
				}
				if framing == "chunks" {
					_, _ = io.WriteString(c.Conn, "0\r\n\r\n")
				}
			})
			resp, err := http.ReadResponse(c.in, nil)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, resp.Body)
			sending.Wait()
			runtime.ReadMemStats(&after)
			if err != nil || n != size {
				t.Errorf("%s, %s: %d bytes, %v", way, framing, n, err)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 8<<20 {
				t.Errorf("%s, %s: %d MiB allocated", way, framing, took>>20)
			}
		}
	}
}

// What is spliced arrives as it was sent, and the connections go on.
func TestALargeAnswerArrivesWholeAndTheConnectionGoesOn(t *testing.T) {
	t.Parallel()
	data := make([]byte, 3<<20+17)
	for i := range data {
		data[i] = byte(i * 7 >> 3)
	}
	want := sha256.Sum256(data)
	far := func(t *testing.T) *farEnd {
		return wired(t, func(c *peer, _ int) {
			for c.request() != "" {
				c.say(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(data)))
				_, _ = c.Write(data)
			}
		})
	}
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			far := far(t)
			c := newEngine(t, way, far.url(), engineOptions{}).dial()
			for range 5 {
				c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
				if _, text := c.answer("GET"); sha256.Sum256([]byte(text)) != want {
					t.Errorf("%d bytes, and not the same", len(text))
				}
			}
			if _, conns := far.all(); conns != 1 {
				t.Errorf("%d connections", conns)
			}
		})
	}
}

// H10: the time of a slow backend is not the client's.
func TestASlowBackendDoesNotCutItsClient(t *testing.T) {
	t.Parallel()
	const size, parts = 600 << 10, 12
	far := func(t *testing.T) string {
		return wired(t, func(c *peer, _ int) {
			c.request()
			c.say(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size))
			for range parts { // longer in all than the client may take for one step
				c.say(strings.Repeat("x", size/parts))
				time.Sleep(300 * time.Millisecond)
			}
		}).url()
	}
	inEveryWay(t, far, engineOptions{timeouts: config.Timeouts{Write: 1}}, func(t *testing.T, e *engine) {
		c := e.dial()
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if _, text := c.answer("GET"); len(text) != size {
			t.Errorf("%d bytes of %d", len(text), size)
		}
	})
}

// H9, H10: a client that takes nothing of a large answer is cut.
func TestAClientThatTakesNothingIsCut(t *testing.T) {
	t.Parallel()
	done := make(chan error, len(ways))
	far := func(t *testing.T) string {
		return wired(t, func(c *peer, _ int) {
			c.request()
			const size = 1 << 30
			c.say(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size))
			_, err := io.CopyN(c.Conn, zeros{}, size)
			done <- err
		}).url()
	}
	inEveryWay(t, far, engineOptions{timeouts: config.Timeouts{Write: 1}}, func(t *testing.T, e *engine) {
		c := e.dial()
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if err := <-done; !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the backend could send all: %v", err)
		}
	})
}

// H12: what a middleware keeps of one request never shows another client's data.
func TestWhatAMiddlewareKeepsIsOfItsRequestAlone(t *testing.T) {
	t.Parallel()
	type kept struct {
		tenant string
		r      *http.Request
		w      http.ResponseWriter
		header string
	}
	var mu sync.Mutex
	var all []kept
	keeper := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, kept{r.Header.Get("X-Tenant"), r, w, fmt.Sprint(r.Header)})
		})
	}
	e := newEngine(t, "middleware", echo(t), engineOptions{wrap: keeper})
	var tenants sync.WaitGroup
	for tenant := range 2 {
		tenants.Go(func() {
			name := fmt.Sprintf("tenant-%d", tenant)
			for range 10 {
				c := e.dial()
				for i := range 20 {
					secret := strings.Repeat(name, i+1)
					c.send("POST /%s HTTP/1.1\r\nHost: %s\r\nX-Tenant: %s\r\nContent-Length: %d\r\nX-Poison-%d: %s\r\n\r\n%s", name, name, name, len(secret), i%3, secret, secret)
					if _, text := c.answer("POST"); text != "POST /"+name+" "+secret {
						t.Errorf("%s got %q", name, text)
					}
				}
				_ = c.Close()
			}
		})
	}
	tenants.Wait()
	mu.Lock()
	defer mu.Unlock()
	if len(all) != 400 {
		t.Fatalf("%d requests", len(all))
	}
	for _, k := range all {
		if k.r.Host != k.tenant || k.r.URL.Path != "/"+k.tenant || fmt.Sprint(k.r.Header) != k.header || exchange.Of(k.r).Host != k.tenant {
			t.Fatalf("%s kept a request that is now %s %s %v", k.tenant, k.r.Host, k.r.URL, k.r.Header)
		}
		// What was kept cannot reach the connection either, whoever has it now.
		if n, err := k.r.Body.Read(make([]byte, 10)); n != 0 || err == nil {
			t.Fatalf("%d bytes of a body, %v", n, err)
		}
		if n, err := k.w.Write([]byte("late")); n != 0 || err == nil {
			t.Fatalf("wrote %d bytes, %v", n, err)
		}
		control := http.NewResponseController(k.w)
		if _, _, err := control.Hijack(); err == nil {
			t.Fatal("took over a connection")
		}
		if control.SetReadDeadline(time.Unix(1, 0)) == nil || control.SetWriteDeadline(time.Unix(1, 0)) == nil || control.Flush() == nil {
			t.Fatal("moved a deadline")
		}
	}
}

// H12: a backend that takes a connection for a user gets no other client on it.
func TestAConnectionThatIsAUserServesNoOtherClient(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"NTLM", "negotiate", "Basic"} {
		for _, way := range ways {
			var mu sync.Mutex
			after := 0 // requests behind one with the scheme
			far := wired(t, func(c *peer, _ int) {
				for user := false; ; {
					head := c.request()
					if head == "" {
						return
					}
					mu.Lock()
					if user {
						after++
					}
					mu.Unlock()
					user = user || strings.Contains(head, scheme)
					c.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
			})
			e := newEngine(t, way, far.url(), engineOptions{})
			for range 10 {
				for _, line := range []string{"", "Authorization: " + scheme + " abc\r\n"} {
					c := e.dial()
					c.send("GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", line)
					if resp, _ := c.answer("GET"); resp.StatusCode != 200 {
						t.Errorf("%s, %s: %d", way, scheme, resp.StatusCode)
					}
				}
			}
			mu.Lock()
			if bound := scheme != "Basic"; bound == (after > 0) {
				t.Errorf("%s, %s: %d requests on a connection that is a user", way, scheme, after)
			}
			mu.Unlock()
		}
	}
}

// A body that has been read to its end costs no connection, however fast its answer is.
func TestAFastAnswerToABodyCostsNoConnection(t *testing.T) { // H4
	t.Parallel()
	far := func(t *testing.T) string {
		return wired(t, func(c *peer, _ int) {
			for c.request() != "" {
				_, _ = c.in.ReadByte()
				c.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				_, _ = io.ReadFull(c.in, make([]byte, 4))
			}
		}).url()
	}
	inEveryWay(t, far, engineOptions{}, func(t *testing.T, e *engine) {
		c := e.dial()
		for range 500 {
			c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello")
			if resp, _ := c.answer("POST"); resp.StatusCode != 200 || resp.Close {
				t.Fatalf("%d, close %v", resp.StatusCode, resp.Close)
			}
		}
	})
}

// A request with a body cannot be sent twice; so a connection that the backend has
// closed meanwhile is noticed before any of it is.
func TestABodyIsNotLostOnAConnectionThatIdledToItsEnd(t *testing.T) { // U2
	t.Parallel()
	for _, size := range []int{5, 3 << 10, 16 << 10, 60 << 10, 200 << 10} {
		for _, way := range ways {
			t.Run(fmt.Sprint(way, " ", size), func(t *testing.T) {
				t.Parallel()
				closed := make(chan struct{}, 1)
				c := newEngine(t, way, echoOnce(t, closed).url(), engineOptions{}).dial()
				body := strings.Repeat("0123456789abcdef", size/16+1)[:size]
				for i := range 8 {
					c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", size)
					if i%2 == 1 {
						time.Sleep(2 * time.Millisecond) // the head alone comes first
					}
					c.send(body)
					if resp, got := c.answer("POST"); resp.StatusCode != 200 || got != body {
						t.Fatalf("request %d: %d, %d bytes of %d", i, resp.StatusCode, len(got), size)
					}
					<-closed
				}
			})
		}
	}
}

// echoOnce answers one request on each connection with its body, promises to keep the
// connection, and closes it.
func echoOnce(t *testing.T, closed chan<- struct{}) *farEnd {
	t.Helper()
	return wired(t, func(c *peer, _ int) {
		r, err := http.ReadRequest(c.in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		c.say(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		_ = c.Close()
		closed <- struct{}{}
	})
}

// A small answer is one write, head and body together.
func TestASmallAnswerIsOneWrite(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"a length":  "HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024),
		"no body":   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"no answer": "HTTP/1.1 204 No Content\r\n\r\n",
		"chunks":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + strings.Repeat("x", 1024) + "\r\n0\r\n\r\n",
	} {
		for _, way := range []string{"direct", "handler"} {
			m := inMemory(t, way, answering(t, answer).url(), "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			if m.writes != 1 || !strings.HasPrefix(m.out.String(), "HTTP/1.1 20") {
				t.Errorf("%s, %s: %d writes of %q", way, name, m.writes, m.out.String())
			}
		}
	}
}
