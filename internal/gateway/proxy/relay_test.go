// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAnAnswerArrivesAsItWasSent(t *testing.T) { // H6
	t.Parallel()
	for _, c := range []struct {
		name, method, backend string
		status                int
		header                map[string]string // absent is ""
		body                  string
	}{
		{
			"with no type guessed", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n<html>hello!",
			200, map[string]string{"Content-Type": ""}, "<html>hello!",
		},
		{
			"with its coding untouched", "GET", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\nETag: \"1\"\r\n\r\nabc",
			200, map[string]string{"Content-Encoding": "gzip", "Etag": `"1"`, "Content-Length": "3"}, "abc",
		},
		{"of HEAD with its length", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", 200, map[string]string{"Content-Length": "12"}, ""},
		{"of 204", "GET", "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n", 204, map[string]string{"X-A": "1"}, ""},
		{"of 304 with its headers", "GET", "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n", 304, map[string]string{"Etag": `"1"`}, ""},
		{"of an unusual status", "GET", "HTTP/1.1 599 Odd\r\nContent-Length: 1\r\n\r\nx", 599, nil, "x"},
		{"up to the end of the connection", "GET", "HTTP/1.0 200 OK\r\n\r\nall of it", 200, nil, "all of it"},
		{"with lines that repeat", "GET", "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n", 200, map[string]string{"Set-Cookie": "a=1|b=2"}, ""},
		{"unless its status is none", "GET", "HTTP/1.1 099 Odd\r\nContent-Length: 1\r\n\r\nx", 502, nil, "502 bad gateway\n"},
		{"unless its lengths differ", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy", 502, nil, "502 bad gateway\n"},
		{"unless its head is malformed", "GET", "HTTP/1.1 200 OK\r\nno field\r\nContent-Length: 0\r\n\r\n", 502, nil, "502 bad gateway\n"},
		{"unless its head has no bounds", "GET", "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", 502, nil, "502 bad gateway\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFront(t, config.Route{}, rawBackend(t, c.backend), upstream.Settings{})
			resp := f.get("/", func(r *http.Request) {
				r.Method = c.method
				r.Header.Set("Accept-Encoding", "identity")
			})
			if got := body(t, resp); resp.StatusCode != c.status || got != c.body {
				t.Errorf("%d %q", resp.StatusCode, got)
			}
			for name, want := range c.header {
				if got := strings.Join(resp.Header[name], "|"); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestTheLogKnowsWhoBrokeOff(t *testing.T) { // H11, B4
	t.Parallel()
	t.Run("the backend", func(t *testing.T) {
		t.Parallel()
		f := newFront(t, config.Route{}, rawBackend(t, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"), upstream.Settings{})
		resp := f.get("/")
		if data, err := io.ReadAll(resp.Body); err == nil || string(data) != "hello" {
			t.Errorf("%q, %v", data, err)
		}
		<-f.done
		if got := f.exchange.Load().Reason; got != "upstream_aborted" {
			t.Errorf("reason %q", got)
		}
	})
	t.Run("the client", func(t *testing.T) {
		t.Parallel()
		ended := make(chan struct{})
		f := behind(t, config.Route{}, func(w http.ResponseWriter, r *http.Request) {
			defer close(ended)
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		})
		resp := f.get("/")
		_, _ = io.CopyN(io.Discard, resp.Body, 1<<16)
		_ = resp.Body.Close()
		<-ended // the backend is not left working for nobody
		<-f.done
		if got := f.exchange.Load().Reason; got != "client_closed" {
			t.Errorf("reason %q", got)
		}
	})
}

func TestAnEventIsThereBeforeTheNextOneExists(t *testing.T) { // H8
	t.Parallel()
	for _, accept := range []string{"text/event-stream", "*/*"} {
		next := make(chan struct{})
		f := behind(t, config.Route{}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 3 {
				_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
				_ = http.NewResponseController(w).Flush()
				select {
				case <-next:
				case <-r.Context().Done():
				}
			}
		})
		events := bufio.NewReader(f.get("/", func(r *http.Request) { r.Header.Set("Accept", accept) }).Body)
		for i := range 3 {
			line, err := events.ReadString('\n')
			if err != nil || line != fmt.Sprintf("data: %d\n", i) {
				t.Fatalf("%q, %v", line, err)
			}
			_, _ = events.Discard(1)
			next <- struct{}{}
		}
	}
}

// calls is a gRPC server as far as HTTP is concerned.
func calls(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	if r.Header.Get("Te") != "trailers" {
		h.Set("Grpc-Status", "3")
		return
	}
	if r.URL.Path == "/svc/Refuse" { // a head that is all
		h.Set("Grpc-Status", "7")
		return
	}
	control := http.NewResponseController(w)
	_ = control.Flush()
	for {
		var prefix [5]byte
		if _, err := io.ReadFull(r.Body, prefix[:]); err != nil {
			break
		}
		message := make([]byte, binary.BigEndian.Uint32(prefix[1:]))
		_, _ = io.ReadFull(r.Body, message)
		_, _ = w.Write(append(prefix[:], message...))
		_ = control.Flush()
	}
	h.Set(http.TrailerPrefix+"Grpc-Status", "0")
	h.Set(http.TrailerPrefix+"Grpc-Message", "done")
}

func TestGRPCStreamsBothWaysAndEndsInTrailers(t *testing.T) { // G3, H8
	t.Parallel()
	var plain http.Protocols
	plain.SetUnencryptedHTTP2(true)
	server := httptest.NewUnstartedServer(http.HandlerFunc(calls))
	server.Config.Protocols = &plain
	server.Start()
	t.Cleanup(server.Close)
	f := newFront(t, config.Route{}, "grpc://"+server.Listener.Addr().String(), upstream.Settings{})
	client := &http.Transport{Protocols: &plain}
	t.Cleanup(client.CloseIdleConnections)
	call := func(path string) (*http.Response, *io.PipeWriter) {
		in, out := io.Pipe()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL+path, in)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/grpc")
		r.Header.Set("Te", "trailers")
		resp, err := client.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp, out
	}
	resp, out := call("/svc/Echo") // the head is there before the first message
	message := append([]byte{0, 0, 0, 0, 5}, "hello"...)
	for range 3 {
		if _, err := out.Write(message); err != nil {
			t.Fatal(err)
		}
		back := make([]byte, len(message))
		if _, err := io.ReadFull(resp.Body, back); err != nil || string(back) != string(message) {
			t.Fatalf("%q, %v", back, err)
		}
	}
	_ = out.Close()
	if rest := body(t, resp); rest != "" || resp.Trailer.Get("Grpc-Status") != "0" || resp.Trailer.Get("Grpc-Message") != "done" {
		t.Errorf("%q %v", rest, resp.Trailer)
	}
	resp, out = call("/svc/Refuse")
	_ = out.Close()
	if rest := body(t, resp); rest != "" || resp.Header.Get("Grpc-Status") != "7" {
		t.Errorf("%q %v %v", rest, resp.Header, resp.Trailer)
	}
}

func TestStreamingTakesNoMoreMemoryThanBuffers(t *testing.T) { // H8, M5
	// Not parallel: what is allocated meanwhile must be ours.
	const size = 256 << 20
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buffer := make([]byte, 64<<10)
		n := int64(0)
		for {
			read, err := r.Body.Read(buffer)
			if n += int64(read); err != nil {
				break
			}
		}
		for ; n > 0; n -= int64(len(buffer)) {
			if _, err := w.Write(buffer[:min(n, int64(len(buffer)))]); err != nil {
				return
			}
		}
	}))
	defer backend.Close()
	f := newFront(t, config.Route{}, backend.URL, upstream.Settings{})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL, io.LimitReader(zeros{}, size))
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	resp, err := f.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read
	n, err := io.Copy(io.Discard, resp.Body)
	runtime.ReadMemStats(&after)
	if err != nil || n != size {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 16<<20 {
		t.Errorf("%d MiB allocated", allocated>>20)
	}
}

func TestWhatOneClientSendsNoOtherSees(t *testing.T) { // H12
	t.Parallel()
	f := behind(t, config.Route{}, func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Tenant", r.Header.Get("X-Tenant"))
		_, _ = fmt.Fprintf(w, "%s %s %s", r.Header.Get("X-Tenant"), r.Header.Get("X-Once"), data)
	})
	var group sync.WaitGroup
	for tenant := range 8 {
		group.Go(func() {
			c, err := net.Dial("tcp", f.Listener.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close() //nolint:errcheck // a test
			in := bufio.NewReader(c)
			for i := range 100 {
				once, text := "", strings.Repeat(fmt.Sprint(tenant), i*50)
				if i%2 == 0 {
					once = fmt.Sprintf("X-Once: %d\r\n", tenant)
				}
				_, _ = fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nX-Tenant: %d\r\n%sContent-Length: %d\r\n\r\n%s", tenant, once, len(text), text)
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Error(err)
					return
				}
				data, err := io.ReadAll(resp.Body)
				want := fmt.Sprintf("%d %s %s", tenant, strings.TrimSpace(strings.TrimPrefix(once, "X-Once: ")), text)
				if err != nil || string(data) != want || resp.Header.Get("X-Tenant") != fmt.Sprint(tenant) {
					t.Errorf("tenant %d got %q, %v", tenant, data, err)
					return
				}
			}
		})
	}
	group.Wait()
}
