// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// floods are what clients send that is no work. Each is one round of it, on a
// connection on which a stream with the number 1 is open.
var floods = map[string]func(f *frames) error{
	"streams that are reset": func(f *frames) error {
		id := f.open(true)
		return f.WriteRSTStream(id, http2.ErrCodeCancel)
	},
	"streams that the server is made to reset": func(f *frames) error {
		return f.WriteWindowUpdate(f.open(false), 0)
	},
	"streams whose window overflows": func(f *frames) error {
		return f.WriteWindowUpdate(f.open(false), 1<<31-1)
	},
	"streams that depend on themselves": func(f *frames) error {
		id := f.open(false)
		return f.WritePriority(id, http2.PriorityParam{StreamDep: id})
	},
	"data on ended streams": func(f *frames) error {
		return f.WriteData(f.open(true), false, []byte("x"))
	},
	"pings":                  func(f *frames) error { return f.WritePing(false, [8]byte{}) },
	"answers to no ping":     func(f *frames) error { return f.WritePing(true, [8]byte{}) },
	"settings":               func(f *frames) error { return f.WriteSettings() },
	"priorities":             func(f *frames) error { return f.WritePriority(1, http2.PriorityParam{Weight: 1}) },
	"windows of the whole":   func(f *frames) error { return f.WriteWindowUpdate(0, 1) },
	"windows of a stream":    func(f *frames) error { return f.WriteWindowUpdate(1, 1) },
	"empty data":             func(f *frames) error { return f.WriteData(1, false, nil) },
	"data that is padding":   func(f *frames) error { return f.WriteDataPadded(1, false, nil, make([]byte, 7)) },
	"frames of unknown kind": func(f *frames) error { return f.WriteRawFrame(0x42, 0, 0, nil) },
}

// open begins a stream.
func (f *frames) open(whole bool) uint32 {
	id := f.stream
	f.stream += 2
	head := plainGet
	if !whole {
		head = []string{":method", "POST", ":scheme", "http", ":authority", "h", ":path", "/"}
	}
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: f.block(head...), EndHeaders: true, EndStream: whole}) // the next frame tells
	return id
}

// G1: a client that has the server do what is no work is told to calm down, and its
// connection ends, long before it cost much. Others go on.
func TestAFloodEndsItsConnection(t *testing.T) {
	t.Parallel()
	for _, over := range []string{"plain", "TLS"} {
		for name, round := range floods {
			t.Run(over+"/"+name, func(t *testing.T) {
				t.Parallel()
				hold := make(chan struct{})
				o := Options{}
				if over == "TLS" {
					o.TLS = secured(t)
				}
				s := serve(t, o, func(w http.ResponseWriter, r *http.Request) {
					select {
					case <-hold:
					case <-r.Context().Done():
					}
				})
				t.Cleanup(func() { close(hold) })
				f := s.frames()
				if over == "TLS" {
					f = s.secureFrames()
				}
				f.AllowIllegalWrites = true
				f.open(false)
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					for round(f) == nil { // the deadline of the connection is the last end of it
					}
				}()
				if code, said := f.ends(); !said || code != http2.ErrCodeEnhanceYourCalm {
					t.Errorf("GOAWAY %v, %v", code, said)
				}
				_ = f.conn.Close()
				<-sent
				if n := s.Refused().Flood; n != 1 {
					t.Errorf("%d floods are counted", n)
				}
			})
		}
	}
}

// secureFrames is frames over TLS.
func (s *serving) secureFrames() *frames {
	c := tls.Client(s.dial(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) //nolint:gosec // a test of something else
	if err := c.HandshakeContext(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	return s.framesOn(c)
}

// G1: the CONTINUATION frames of one head are counted, and bounded.
func TestContinuationsWithoutContentEndTheirConnection(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{}, ok)
	f := s.frames()
	sent := make(chan int, 1)
	go func() {
		n := 0
		err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.block(plainGet...)})
		for ; err == nil && n < 20_000; n++ {
			err = f.WriteContinuation(1, false, nil)
		}
		sent <- n
	}()
	f.ends()
	_ = f.conn.Close()
	if n := <-sent; n >= 20_000 {
		t.Errorf("%d frames were taken", n)
	}
}

// tracked counts the connections that a client makes.
func (s *serving) tracked() (*http.Client, *atomic.Int64) {
	var made atomic.Int64
	client := s.client(overH2C)
	transport := client.Transport.(*http.Transport) //nolint:forcetypeassert // as client made it
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		made.Add(1)
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return client, &made
}

// G1: what honest clients do is no flood, for as long as they like.
func TestHonestClientsAreNoFlood(t *testing.T) {
	t.Parallel()
	held := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/wait":
			<-r.Context().Done()
		case "/echo":
			_, _ = io.Copy(w, r.Body)
		case "/early":
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		case "/long":
			part := bytes.Repeat([]byte("x"), 32<<10)
			for range 2048 {
				_, _ = w.Write(part)
			}
		}
	}
	for name, test := range map[string]func(t *testing.T, base string, client *http.Client){
		"10,000 requests": func(t *testing.T, base string, client *http.Client) {
			for range 10_000 {
				fetch(t, client, base+"/", nil, 200)
			}
		},
		"every other request is given up": func(t *testing.T, base string, client *http.Client) {
			for range 2000 {
				fetch(t, client, base+"/", nil, 200)
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				r, _ := http.NewRequestWithContext(ctx, http.MethodGet, base+"/wait", nil)
				if resp, err := client.Do(r); err == nil {
					_ = resp.Body.Close()
				}
				cancel()
			}
		},
		"bodies that nobody wants": func(t *testing.T, base string, client *http.Client) {
			for range 1500 {
				fetch(t, client, base+"/early", strings.NewReader(strings.Repeat("x", 40<<10)), 413)
			}
		},
		"a long answer": func(t *testing.T, base string, client *http.Client) {
			fetch(t, client, base+"/long", nil, 200)
		},
		"a long upload": func(t *testing.T, base string, client *http.Client) {
			fetch(t, client, base+"/echo", io.LimitReader(endless{}, 64<<20), 200)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, Options{}, held)
			client, made := s.tracked()
			test(t, "http://"+s.Addr().String(), client)
			if n := made.Load(); n != 1 || s.Refused().Flood != 0 {
				t.Errorf("%d connections, %d floods", n, s.Refused().Flood)
			}
		})
	}
}

func fetch(t *testing.T, client *http.Client, url string, body io.Reader, want int) {
	t.Helper()
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != want || err != nil {
		t.Fatalf("%d, %v", resp.StatusCode, err)
	}
}

// G1, G3: a gRPC client measures the connection with a ping whenever data comes, and
// tells of each message that it has taken it, on the stream and on the connection.
func TestAnEagerClientOfAStreamIsNoFlood(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		buffer := make([]byte, 16)
		for {
			n, err := r.Body.Read(buffer)
			if n > 0 {
				_, _ = w.Write(buffer[:n])
				_ = http.NewResponseController(w).Flush()
			}
			if err != nil {
				return
			}
		}
	})
	f := s.frames()
	id := f.open(false)
	for round := range 10_000 {
		if err := f.WriteData(id, false, []byte("hello")); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		for got := 0; got < 5; {
			frame, err := f.ReadFrame()
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			switch frame := frame.(type) {
			case *http2.DataFrame:
				got += len(frame.Data())
			case *http2.GoAwayFrame, *http2.RSTStreamFrame:
				t.Fatalf("round %d: %v", round, frame)
			}
		}
		_ = f.WritePing(false, [8]byte{}) // the next frame tells what is wrong
		_ = f.WriteWindowUpdate(id, 5)
		_ = f.WriteWindowUpdate(0, 5)
	}
}

// G1: it is the heads as they are in memory that are bounded, of all open streams
// together.
func TestTheHeadsOfAllOpenStreamsAreBounded(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	var held atomic.Int64
	s := serve(t, Options{}, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/held" {
			held.Add(1)
			<-hold
		}
	})
	t.Cleanup(func() { close(hold) })
	f := s.frames()
	// Two fields of the table that take a few bytes on the wire and 60 KiB in memory.
	large := []string{":method", "GET", ":scheme", "http", ":authority", "h", ":path", "/held"}
	for range 30 {
		large = append(large, "x-large", strings.Repeat("a", 2<<10))
	}
	refused := 0
	for range 100 {
		id := f.stream
		f.stream += 2
		block := f.block(large...)
		for first := true; first || len(block) > 0; first = false {
			part := block[:min(len(block), 16<<10)]
			block = block[len(part):]
			var err error
			if first {
				err = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: part, EndHeaders: len(block) == 0, EndStream: true})
			} else {
				err = f.WriteContinuation(id, len(block) == 0, part)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for refused == 0 {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if head, ok := frame.(*http2.MetaHeadersFrame); ok {
			if status := head.PseudoValue("status"); status != "431" {
				t.Fatalf("%s", status)
			}
			refused++
		}
	}
	if n := held.Load(); n > maxHeadsBytes/(60<<10)+1 {
		t.Errorf("%d heads of 60 KiB are held", n)
	}
}

// The heads of frames are found however the bytes come in parts.
func TestFramesAreFoundInAnyParts(t *testing.T) {
	t.Parallel()
	var wire bytes.Buffer
	f := http2.NewFramer(&wire, nil)
	f.AllowIllegalWrites = true
	_ = f.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 15})
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: []byte("abc"), EndHeaders: true, EndStream: true})
	_ = f.WriteRSTStream(3, http2.ErrCodeProtocol)
	_ = f.WriteData(5, true, make([]byte, 70))
	_ = f.WriteRawFrame(http2.FrameRSTStream, 0, 7, []byte{1, 2})
	_ = f.WriteRawFrame(http2.FrameRSTStream, 0, 9, []byte{0, 0, 0, 8, 9, 9})
	_ = f.WritePing(true, [8]byte{})
	const want = "4/0/6/0 1/3/3/0 3/3/4/1 0/5/70/0 3/7/2/0 3/9/6/8 6/0/8/0 "
	for size := 1; size <= wire.Len(); size++ {
		var s scanner
		got := ""
		for rest := wire.Bytes(); len(rest) > 0; {
			part := rest[:min(size, len(rest))]
			rest = rest[len(part):]
			for {
				f, more, ok := s.next(part)
				if !ok {
					break
				}
				got += fmt.Sprintf("%d/%d/%d/%d ", f.kind, f.stream, f.length, f.code)
				part = more
			}
		}
		if got != want || !s.between() {
			t.Fatalf("in parts of %d: %s", size, got)
		}
	}
}

func FuzzScanner(f *testing.F) { // G1
	f.Add([]byte{0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8}, uint8(1))
	f.Add([]byte{0, 0, 1, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0}, uint8(3))
	f.Fuzz(func(t *testing.T, data []byte, size uint8) {
		count := func(size int) (n int, last frame) {
			var s scanner
			for rest := data; len(rest) > 0; {
				part := rest[:min(size, len(rest))]
				rest = rest[len(part):]
				for {
					f, more, ok := s.next(part)
					if !ok {
						break
					}
					n, last, part = n+1, f, more
				}
			}
			return n, last
		}
		whole, a := count(len(data) + 1)
		parts, b := count(int(size) + 1)
		if whole != parts || a != b {
			t.Errorf("%d frames at once, %d in parts of %d; %v, %v", whole, parts, size+1, a, b)
		}
	})
}

// Looking at frames allocates nothing.
func TestLookingAtFramesAllocatesNothing(t *testing.T) {
	var wire bytes.Buffer
	f := http2.NewFramer(&wire, nil)
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte("abc"), EndHeaders: true, EndStream: true})
	_ = f.WriteData(1, true, make([]byte, 1<<10))
	h := &http2Conn{Conn: discard{}}
	if n := testing.AllocsPerRun(1000, func() {
		if !h.received(wire.Bytes()) {
			t.Fatal("a flood")
		}
		_, _ = h.Write(wire.Bytes())
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type discard struct{ net.Conn }

func (discard) Write(p []byte) (int, error) { return len(p), nil }
