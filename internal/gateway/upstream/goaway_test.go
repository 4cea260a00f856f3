// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// goingAway is a backend over HTTP/2 that does not answer its first request, but does
// refuse; it answers the others.
func goingAway(t *testing.T, refuse func(f *http2.Framer, stream uint32)) (address string, seen *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	seen = &atomic.Int32{}
	var group sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); group.Wait() })
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer c.Close() //nolint:errcheck // a test
				speakHTTP2(c, func(f *http2.Framer, stream uint32) {
					if seen.Add(1) == 1 {
						refuse(f, stream)
						return
					}
					var block writer
					_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
					_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block, EndHeaders: true, EndStream: true})
				})
			})
		}
	})
	return "h2c://" + l.Addr().String(), seen
}

type writer []byte

func (w *writer) Write(p []byte) (int, error) { *w = append(*w, p...); return len(p), nil }

func speakHTTP2(c net.Conn, request func(f *http2.Framer, stream uint32)) {
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c, preface); err != nil {
		return
	}
	f := http2.NewFramer(c, c)
	_ = f.WriteSettings()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = f.WriteSettingsAck()
			}
		case *http2.HeadersFrame:
			if frame.StreamEnded() {
				request(f, frame.StreamID)
			}
		case *http2.DataFrame:
			if frame.StreamEnded() {
				request(f, frame.StreamID)
			}
		case *http2.PingFrame:
			_ = f.WritePing(true, frame.Data)
		}
	}
}

func TestOnlyStreamsThatABackendHasNotProcessedAreSentAgain(t *testing.T) { // U8
	t.Parallel()
	for name, c := range map[string]struct {
		refuse func(f *http2.Framer, stream uint32)
		again  bool
	}{
		"the connection ends before it": {func(f *http2.Framer, _ uint32) { _ = f.WriteGoAway(0, http2.ErrCodeNo, nil) }, true},
		"the stream is refused":         {func(f *http2.Framer, s uint32) { _ = f.WriteRSTStream(s, http2.ErrCodeRefusedStream) }, true},
		"it may have been processed": {func(f *http2.Framer, s uint32) {
			_ = f.WriteGoAway(s, http2.ErrCodeInternal, nil)
			_ = f.WriteRSTStream(s, http2.ErrCodeInternal)
		}, false},
		"it was processed and broke": {func(f *http2.Framer, s uint32) { _ = f.WriteRSTStream(s, http2.ErrCodeInternal) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, seen := goingAway(t, c.refuse)
			g := registry(t, Settings{})
			cluster := acquire(t, g, target(address))
			_, _, err := send(t, cluster, http.MethodPost, "")
			if c.again != (err == nil) {
				t.Errorf("error %v", err)
			}
			retried := uint64(0)
			for _, c := range g.Connections() {
				retried += c.Retried
			}
			if counted := retried == 1; counted != c.again || retried > 1 {
				t.Errorf("%d requests are counted that were sent again", retried)
			}
			if n, want := seen.Load(), map[bool]int32{true: 2, false: 1}[c.again]; n != want {
				t.Errorf("the backend saw %d requests, want %d", n, want)
			}
		})
	}
}
