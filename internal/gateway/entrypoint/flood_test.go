// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// block gives the encoded fields of a head.
func (f *frames) block(fields ...string) []byte {
	f.encoded.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = f.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return []byte(f.encoded.String())
}

// ends reads until the server ends the connection, and gives the code of its GOAWAY.
func (f *frames) ends() (code http2.ErrCode, said bool) {
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return code, said
		}
		if away, ok := frame.(*http2.GoAwayFrame); ok {
			code, said = away.ErrCode, true
		}
	}
}

var plainGet = []string{":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/"}

// G1: streams that a client opens and resets at once make no more work than those
// that it may have open, and the connection ends.
func TestRapidResetsMakeNoMoreWorkThanOpenStreams(t *testing.T) {
	t.Parallel()
	var running, most atomic.Int64
	hold := make(chan struct{})
	s := serve(t, Options{}, func(http.ResponseWriter, *http.Request) {
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		<-hold
		running.Add(-1)
	})
	t.Cleanup(func() { close(hold) })
	f := s.frames()
	go func() {
		for range 50_000 {
			id := f.stream
			f.stream += 2
			if f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: f.block(plainGet...), EndHeaders: true, EndStream: true}) != nil ||
				f.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
				return
			}
		}
	}()
	if code, said := f.ends(); said && code != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("GOAWAY %v", code)
	}
	if n := most.Load(); n > maxStreams {
		t.Errorf("%d handlers at once", n)
	}
}

// G1: a head without an end is cut long before it takes much memory.
func TestAHeadWithoutEndEndsItsConnection(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{}, ok)
	f := s.frames()
	sent := make(chan int, 1)
	go func() {
		n := 0
		err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.block(plainGet...)})
		for ; err == nil && n < 100_000; n++ {
			err = f.WriteContinuation(1, false, f.block("x-"+fmt.Sprint(n), strings.Repeat("a", 8<<10)))
		}
		sent <- n
	}()
	f.ends()
	if n := <-sent; n >= 100_000 {
		t.Errorf("%d frames of one head were taken", n)
	}
}

// G1: what few bytes expand to is bounded as what they are.
func TestAHeadThatExpandsIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{}, ok)
	f := s.frames()
	more := append([]string{}, plainGet...)
	for range 64 { // 64 times a field of the table: a few bytes each, 2 KiB in the end
		more = append(more, "x-large", strings.Repeat("a", 2<<10))
	}
	if got := f.ask(more...); got != "431" && got != "reset" && got != "goaway" {
		t.Errorf("%s", got)
	}
}

// G2: what HTTP/1.1 would read in another way never gets to a handler.
func TestWhatHTTP1WouldReadDifferentlyIsAnErrorOfItsStream(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{}, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/fine" {
			t.Errorf("served %s %s %v", r.Method, r.URL, r.Header)
		}
	})
	fine := []string{":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/fine"}
	for name, fields := range map[string][]string{
		"a line break in a value":      {":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/", "x", "a\r\nHost: evil"},
		"a bare LF":                    {":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/", "x", "a\nb"},
		"a NUL":                        {":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/", "x", "a\x00b"},
		"a line break in the path":     {":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/ HTTP/1.1\r\nX: y"},
		"a space in the path":          {":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/a b"},
		"a line break in the method":   {":method", "GET / HTTP/1.1\r\nX: y", ":scheme", "http", ":authority", "h", ":path", "/"},
		"a line break in the host":     {":method", "GET", ":scheme", "http", ":authority", "h\r\nX: y", ":path", "/"},
		"transfer-encoding":            {":method", "POST", ":scheme", "http", ":authority", "h", ":path", "/", "transfer-encoding", "chunked"},
		"connection":                   {":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/", "connection", "x"},
		"an upper-case name":           {":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/", "X-A", "b"},
		"a colon in a name":            {":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/", "a:b", "c"},
		"a line break in a name":       {":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/", "a\r\nb", "c"},
		"two paths":                    {":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/", ":path", "/b"},
		"two methods":                  {":method", "GET", ":method", "POST", ":scheme", "http", ":authority", "h", ":path", "/"},
		"a pseudo-header after others": {":method", "GET", ":scheme", "http", ":authority", "h", "x", "y", ":path", "/"},
		"an unknown pseudo-header":     {":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/", ":x", "y"},
		"no path":                      {":method", "GET", ":scheme", "http", ":authority", "h"},
		"a body shorter than said":     {":method", "POST", ":scheme", "http", ":authority", "h", ":path", "/", "content-length", "5"},
	} {
		f := s.frames()
		if got := f.ask(fields...); got != "400" && got != "reset" && got != "goaway" {
			t.Errorf("%s: %s", name, got)
		}
		if f = s.frames(); f.ask(fine...) != "200" {
			t.Errorf("%s: nobody else is served", name)
		}
	}
}

// G4: a stream that nobody reads stalls no other one.
func TestOneSlowStreamStallsNoOther(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	s := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-hold // and reads nothing
			return
		}
		_, _ = io.Copy(w, r.Body)
	})
	defer close(hold)
	client := s.client(overH2C)
	stalled := make(chan struct{})
	go func() {
		defer close(stalled)
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Addr().String()+"/slow", io.LimitReader(endless{}, 100<<20))
		if resp, err := client.Do(r); err == nil {
			_ = resp.Body.Close()
		}
	}()
	for range 5 {
		resp, err := client.Post("http://"+s.Addr().String()+"/echo", "a/b", strings.NewReader(strings.Repeat("x", 1<<20))) //nolint:noctx // a test
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if n != 1<<20 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// G1: a frame may be as large as RFC 9113 §4.2 has it be at the least, and no larger.
func TestAFrameThatIsTooLargeEndsItsConnection(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{}, ok)
	f := s.frames()
	if err := f.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, make([]byte, maxFrameBytes+1)); err != nil {
		t.Fatal(err)
	}
	if code, said := f.ends(); !said || code != http2.ErrCodeFrameSize {
		t.Errorf("GOAWAY %v, code %v", said, code)
	}
}
