// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package soak

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"gateway.jkaninda.dev/goma/test/peers/program"
)

// steady is what a backend that is well answers.
var steady = strings.Repeat("steady ", 2000)

type backends struct{ plain, h2c, dying string }

func startBackends(t *testing.T) *backends {
	t.Helper()
	h := http.HandlerFunc(answer)
	plain, h2c := httptest.NewServer(h), httptest.NewUnstartedServer(h)
	h2c.Config.Protocols = new(http.Protocols)
	h2c.Config.Protocols.SetUnencryptedHTTP2(true)
	h2c.Start()
	t.Cleanup(plain.Close)
	t.Cleanup(h2c.Close)
	dying, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = dying.Close() })
	go func() {
		for {
			c, err := dying.Accept()
			if err != nil {
				return
			}
			go die(c)
		}
	}()
	return &backends{plain.URL, "h2c://" + h2c.Listener.Addr().String(), "http://" + dying.Addr().String()}
}

func answer(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/ws"):
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer c.CloseNow() //nolint:errcheck // a test
		for {
			kind, data, err := c.Read(context.Background())
			if err != nil || c.Write(context.Background(), kind, data) != nil {
				return
			}
		}
	case strings.HasSuffix(r.URL.Path, "/events"):
		w.Header().Set("Content-Type", "text/event-stream")
		for i := 0; r.Context().Err() == nil; i++ {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	default:
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, steady)
	}
}

// die answers, or hangs up before, or in the middle, or resets.
func die(c net.Conn) {
	defer c.Close()
	if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
		return
	}
	switch rand.IntN(4) {
	case 0:
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	case 1:
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok")
	case 2:
		_ = c.(*net.TCPConn).SetLinger(0)
	}
}

type client func(ctx context.Context, w *watch)

func clients(g *program.Gateway) (list []client) {
	secure := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the test's own
	for _, c := range []struct {
		url string
		set func(*http.Protocols)
	}{
		{"http://" + g.Web, func(p *http.Protocols) { p.SetHTTP1(true) }},
		{"http://" + g.Web, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }},
		{"https://" + g.Secure, func(p *http.Protocols) { p.SetHTTP1(true) }},
		{"https://" + g.Secure, func(p *http.Protocols) { p.SetHTTP2(true) }},
	} {
		p := new(http.Protocols)
		c.set(p)
		h := &http.Client{Transport: &http.Transport{Protocols: p, TLSClientConfig: secure.Clone(), MaxIdleConnsPerHost: 8}}
		list = append(list, asking(h, c.url), leaving(h, c.url), listening(h, c.url))
	}
	return append(list, talking("ws://"+g.Web), slow(g.Web))
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// asking sends one request after the other, each of which has a known set of answers.
// A route that changes meanwhile is the one of before or after.
func asking(h *http.Client, url string) client {
	kinds := []struct {
		path     string
		statuses []int
		// broken tells that a body may end early.
		broken bool
	}{
		{"/steady", []int{200}, false}, {"/over-h2c", []int{200}, false}, {"/flip/", []int{200, 401, 404}, false},
		{"/dying", []int{200, 502}, true}, {"/nowhere", []int{404}, false},
	}
	return func(ctx context.Context, w *watch) {
		defer h.CloseIdleConnections()
		for i := 0; ctx.Err() == nil; i++ {
			k := kinds[i%len(kinds)]
			path := k.path
			if path == "/flip/" {
				path += fmt.Sprint(i % 5)
			}
			method, body := http.MethodGet, io.Reader(nil)
			if i%2 == 0 && !k.broken {
				method, body = http.MethodPost, strings.NewReader(steady)
			}
			r, err := http.NewRequest(method, url+path, body) // it is asked to its end
			if err != nil {
				w.fault("%v", err)
				return
			}
			resp, err := h.Do(r)
			if err != nil {
				w.fault("%s %s%s: %v", method, url, path, err)
				continue
			}
			text, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			w.saw(k.path, resp.StatusCode)
			if !slices.Contains(k.statuses, resp.StatusCode) || err != nil && !k.broken {
				w.fault("%s %s%s: %d %.100q %v", method, url, path, resp.StatusCode, text, err)
			}
			if resp.StatusCode == http.StatusOK && !k.broken && string(text) != steady {
				w.fault("%s %s%s: another body, of %d bytes", method, url, path, len(text))
			}
			pause(ctx, 2*time.Millisecond)
		}
	}
}

// leaving gives its requests up at any point.
func leaving(h *http.Client, url string) client {
	return func(ctx context.Context, w *watch) {
		for i := 0; ctx.Err() == nil; i++ {
			short, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(8000))*time.Microsecond)
			r, err := http.NewRequestWithContext(short, http.MethodPost, url+[]string{"/steady", "/over-h2c", "/steady/events"}[i%3], strings.NewReader(steady))
			if err == nil {
				if resp, err := h.Do(r); err == nil {
					w.saw("left", resp.StatusCode)
					if resp.StatusCode != http.StatusOK {
						w.fault("a request that is given up: %d", resp.StatusCode)
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
			}
			cancel()
			pause(ctx, 10*time.Millisecond)
		}
	}
}

// listening has a stream of events open all the time.
func listening(h *http.Client, url string) client {
	return func(ctx context.Context, w *watch) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/steady/events", nil)
		if err != nil {
			w.fault("%v", err)
			return
		}
		resp, err := h.Do(r)
		if err != nil {
			w.fault("events: %v", err)
			return
		}
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		for i := 0; lines.Scan(); {
			if lines.Text() == "" {
				continue
			}
			if lines.Text() != fmt.Sprintf("data: %d", i) {
				w.fault("events: %q, want %d", lines.Text(), i)
				return
			}
			i++
		}
		if ctx.Err() == nil {
			w.fault("events of %s end: %v", url, lines.Err())
		}
	}
}

// talking has a WebSocket open all the time.
func talking(url string) client {
	return func(ctx context.Context, w *watch) {
		c, _, err := websocket.Dial(ctx, url+"/steady/ws", nil)
		if err != nil {
			w.fault("WebSocket: %v", err)
			return
		}
		defer c.CloseNow() //nolint:errcheck // a test
		for i := 0; ctx.Err() == nil; i++ {
			text := fmt.Sprint("message ", i)
			err := c.Write(context.Background(), websocket.MessageText, []byte(text))
			_, got, readErr := c.Read(context.Background())
			if err != nil || readErr != nil || string(got) != text {
				w.fault("WebSocket: %v, %v, %q", err, readErr, got)
				return
			}
			pause(ctx, 10*time.Millisecond)
		}
		if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
			w.fault("WebSocket: %v", err)
		}
	}
}

// slow sends and takes a few bytes at a time.
func slow(address string) client {
	const request = "POST /steady HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\nConnection: close\r\n\r\n0123456789"
	return func(ctx context.Context, w *watch) {
		for ctx.Err() == nil {
			c, err := net.Dial("tcp", address)
			if err != nil {
				w.fault("slow: %v", err)
				return
			}
			for i := 0; i < len(request) && err == nil; i += 7 {
				_, err = io.WriteString(c, request[i:min(i+7, len(request))])
				time.Sleep(5 * time.Millisecond)
			}
			var all strings.Builder
			part := make([]byte, 512)
			for n := 0; err == nil; {
				n, err = c.Read(part)
				all.Write(part[:n])
				time.Sleep(2 * time.Millisecond)
			}
			_ = c.Close()
			resp, parseErr := http.ReadResponse(bufio.NewReader(strings.NewReader(all.String())), nil)
			if parseErr != nil {
				w.fault("slow: %v, %v, %.200q", err, parseErr, all.String())
				continue
			}
			body, bodyErr := io.ReadAll(resp.Body)
			w.saw("slow", resp.StatusCode)
			if resp.StatusCode != http.StatusOK || string(body) != steady {
				w.fault("slow: %d, %d bytes, %v", resp.StatusCode, len(body), bodyErr)
			}
		}
	}
}
