// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// timeouts.total is for the whole request, and so for a client too that takes its time
// with the body.
func TestTheTotalTimeEndsASlowUpload(t *testing.T) { // H9, U4
	t.Parallel()
	route := config.Route{Timeouts: &config.RouteTimeouts{Total: config.Duration(200 * time.Millisecond)}}
	for _, scheme := range []string{"http", "h2c"} {
		for _, head := range []string{"Content-Length: 5000", "Content-Length: 500000", "Transfer-Encoding: chunked"} {
			for _, way := range ways {
				t.Run(scheme+" "+way+" "+head, func(t *testing.T) {
					t.Parallel()
					target := readingAll(t)
					e := newEngine(t, way, strings.Replace(target, "http:", scheme+":", 1), engineOptions{route: route})
					c := e.dial()
					began := time.Now()
					c.send("POST / HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n", head)
					if strings.HasPrefix(head, "Transfer") {
						c.send("5\r\nhello\r\n")
					} else {
						c.send("hello")
					}
					if resp, _ := c.answer("POST"); resp.StatusCode != http.StatusGatewayTimeout {
						t.Errorf("%d", resp.StatusCode)
					}
					if took := time.Since(began); took < 200*time.Millisecond {
						t.Errorf("it was cut after %v", took)
					}
					c.ended()
				})
			}
		}
	}
}

// readingAll is a backend of both protocols that reads the whole body first.
func readingAll(t *testing.T) string {
	t.Helper()
	return behind(t, config.Route{}, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }).URL
}

// The same over HTTP/2, where one slow stream is not the whole connection.
func TestTheTotalTimeEndsASlowUploadOverHTTP2(t *testing.T) { // H9, U4
	t.Parallel()
	route := config.Route{Timeouts: &config.RouteTimeouts{Total: config.Duration(200 * time.Millisecond)}}
	for _, way := range ways {
		e := newEngine(t, way, readingAll(t), engineOptions{route: route})
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetUnencryptedHTTP2(true)
		t.Cleanup(transport.CloseIdleConnections)
		in, out := io.Pipe()
		go func() { _, _ = out.Write([]byte("hello")) }()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+e.Addr().String()+"/", in)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: transport, Timeout: enginePatience}).Do(r)
		if err != nil {
			t.Errorf("%s: %v", way, err)
			continue
		}
		_ = resp.Body.Close()
		_ = out.Close()
		if resp.StatusCode != http.StatusGatewayTimeout {
			t.Errorf("%s: %d", way, resp.StatusCode)
		}
	}
}

// A client may pause in a body, also in a small one, and also right behind its head.
func TestAClientMayPauseInASmallBody(t *testing.T) { // H10
	t.Parallel()
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			far := wired(t, func(c *peer, _ int) {
				for {
					head := c.request()
					if head == "" {
						return
					}
					body := make([]byte, 9)
					if _, err := io.ReadFull(c.in, body); err != nil {
						return
					}
					c.say(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
				}
			})
			e := newEngine(t, way, far.url(), engineOptions{})
			c := e.dial()
			for range 2 {
				c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n")
				time.Sleep(1300 * time.Millisecond) // longer than any glance
				c.send("wiki")
				time.Sleep(1300 * time.Millisecond)
				c.send("pedia")
				if resp, text := c.answer("POST"); resp.StatusCode != 200 || text != "wikipedia" {
					t.Errorf("%d %q", resp.StatusCode, text)
				}
			}
			if _, conns := far.all(); conns != 1 {
				t.Errorf("%d connections to the backend", conns)
			}
		})
	}
}
