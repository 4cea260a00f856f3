// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	peer "golang.org/x/net/http2"
)

func TestARequestIsWhatItsHeadSays(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.Method, " ", r.Host, " ", r.RequestURI, " ", r.URL.RawQuery, " ", r.Header["X-A"], " ", r.Header["Cookie"],
			" ", r.ContentLength, " ", r.Proto, " ", r.Body == http.NoBody)
	})
	r := s.raw()
	r.request(1, true, "GET", "/p%2f?q=1;2", "x-a", "1", "x-a", "2", "cookie", "a=b", "cookie", "c=d")
	const want = `GET h /p%2f?q=1;2 q=1;2 [1 2] [a=b; c=d] 0 HTTP/2.0 true`
	if status, body, _ := r.answer(1); status != "200" || body != want {
		t.Errorf("%s %s\nwant %s", status, body, want)
	}
}

func TestAnswersAreFramedByWhatTheyAre(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/small":
			_, _ = io.WriteString(w, "small")
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/large":
			_, _ = w.Write(bytes.Repeat([]byte("x"), 100<<10))
		case "/said":
			w.Header().Set("Content-Length", "5")
			_, _ = io.WriteString(w, "small")
		case "/short":
			w.Header().Set("Content-Length", "50")
			_, _ = io.WriteString(w, "small")
		}
	})
	c := s.client()
	for path, want := range map[string]int64{"/small": 5, "/none": 0, "/large": -1, "/said": 5, "/": 0} {
		resp, err := c.Get(s.url(path)) //nolint:noctx // a test
		if err != nil {
			t.Fatal(path, err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.ContentLength != want || want > 0 && int64(len(body)) != want || resp.Header.Get("Date") == "" {
			t.Errorf("%s: %v, length %d, %d bytes, %v", path, err, resp.ContentLength, len(body), resp.Header)
		}
		if resp, err = c.Head(s.url(path)); err != nil || resp.StatusCode >= 300 { //nolint:noctx,bodyclose // a test; there is none
			t.Errorf("HEAD %s: %v", path, err)
		}
	}
	resp, err := c.Get(s.url("/short")) //nolint:noctx // a test
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	if err == nil {
		t.Error("an answer that breaks off looks whole") // H11
	}
}

func TestBodiesArriveWholeInBothDirectionsAtOnce(t *testing.T) { // G4, H12
	t.Parallel()
	s := serve(t, Options{StreamWindow: 32 << 10, ConnWindow: 128 << 10}, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(w, r.Body); err != nil {
			t.Error(err)
		}
	})
	c := s.client()
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			sent := bytes.Repeat(fmt.Appendf(nil, "%04d", i), 200<<10)
			resp, err := c.Post(s.url("/"), "a/b", io.MultiReader(bytes.NewReader(sent))) //nolint:noctx // a test
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close() //nolint:errcheck // a test
			got, err := io.ReadAll(resp.Body)
			if err != nil || sha256.Sum256(got) != sha256.Sum256(sent) {
				t.Errorf("%d bytes of %d, %v", len(got), len(sent), err)
			}
		})
	}
	group.Wait()
}

func TestTrailersPassBothWays(t *testing.T) { // G3
	t.Parallel()
	s := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("X-Sum", r.Trailer.Get("X-In"))
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		w.Header().Set(http.TrailerPrefix+"Content-Length", "7")
	})
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.url("/"), io.MultiReader(strings.NewReader("hello")))
	if err != nil {
		t.Fatal(err)
	}
	req.Trailer = http.Header{"X-In": {"in"}}
	resp, err := s.client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // a test
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "hello" {
		t.Fatalf("%q, %v", body, err)
	}
	if got := fmt.Sprint(resp.Trailer); got != "map[Grpc-Status:[0] X-Sum:[in]]" {
		t.Error(got)
	}
}

func TestAPartIsThereBeforeTheNextExists(t *testing.T) { // H8
	t.Parallel()
	next := make(chan struct{})
	s := serve(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "one")
		_ = http.NewResponseController(w).Flush()
		<-next
		_, _ = io.WriteString(w, "two")
	})
	r := s.raw()
	r.request(1, true, "GET", "/")
	r.until(func(f peer.Frame) bool { d, ok := f.(*peer.DataFrame); return ok && string(d.Data()) == "one" })
	close(next)
	if _, body, _ := r.answer(1); body != "two" {
		t.Error(body)
	}
}

func TestInformationalAnswersAndLeaveToGoOn(t *testing.T) { // H7
	t.Parallel()
	s := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		_, _ = io.Copy(w, r.Body)
	})
	r := s.raw()
	r.request(1, false, "POST", "/", "expect", "100-continue")
	for _, want := range []string{"103", "100"} {
		r.until(func(f peer.Frame) bool {
			h, ok := f.(*peer.MetaHeadersFrame)
			return ok && h.PseudoValue("status") == want
		})
	}
	r.must(r.WriteData(1, true, []byte("body")))
	if status, body, _ := r.answer(1); status != "200" || body != "body" {
		t.Error(status, body)
	}
}

func TestAResetEndsTheWorkForIt(t *testing.T) { // H11
	t.Parallel()
	ended := make(chan error, 2)
	s := serve(t, Options{}, func(_ http.ResponseWriter, r *http.Request) {
		_, err := r.Body.Read(make([]byte, 1))
		<-r.Context().Done()
		ended <- err
	})
	r := s.raw()
	r.request(1, false, "POST", "/")
	r.must(r.WriteRSTStream(1, peer.ErrCodeCancel))
	if err := <-ended; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	r.request(3, false, "POST", "/")
	r.must(r.WritePing(false, [8]byte{}))
	r.until(func(f peer.Frame) bool { _, ok := f.(*peer.PingFrame); return ok })
	_ = r.conn.Close()
	if err := <-ended; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func TestAPanicIsTheEndOfItsStreamAlone(t *testing.T) { // E5
	t.Parallel()
	var seen atomic.Value
	s := serve(t, Options{Panicked: func(p any) { seen.Store(p) }}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic("on purpose")
		}
		hello(w, r)
	})
	r := s.raw()
	r.request(1, true, "GET", "/panic")
	if _, _, code := r.answer(1); code != peer.ErrCodeInternal {
		t.Error(code)
	}
	r.request(3, true, "GET", "/")
	if status, body, _ := r.answer(3); status != "200" || body != "hello" || seen.Load() != "on purpose" {
		t.Error(status, body, seen.Load())
	}
}

func TestWhatIsOnItsWayWhenAStreamIsResetIsNoFault(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	r := s.raw()
	r.request(1, false, "POST", "/")
	if status, _, _ := r.answer(1); status != "418" {
		t.Error(status)
	}
	r.until(func(f peer.Frame) bool {
		reset, ok := f.(*peer.RSTStreamFrame)
		return ok && reset.ErrCode == peer.ErrCodeNo
	})
	for range 8 { // more than the window of the connection, in all
		r.must(r.WriteData(1, false, make([]byte, 8<<10)))
	}
	r.request(1, true, "GET", "/") // a trailer, as to its frames
	r.request(3, true, "GET", "/")
	f := r.until(func(f peer.Frame) bool { return f.Header().Type != peer.FrameWindowUpdate })
	if f.Header().StreamID != 3 {
		t.Errorf("%v", f)
	}
}

func TestMoreStreamsThanAllowedAreRefusedUnharmed(t *testing.T) { // G1
	t.Parallel()
	hold := make(chan struct{})
	s := serve(t, Options{MaxStreams: 2}, func(w http.ResponseWriter, r *http.Request) {
		<-hold
		hello(w, r)
	})
	r := s.raw()
	for id := uint32(1); id <= 5; id += 2 {
		r.request(id, true, "GET", "/")
	}
	if _, _, code := r.answer(5); code != peer.ErrCodeRefusedStream {
		t.Error(code)
	}
	// A handler counts until it returns, though its stream is gone.
	r.must(r.WriteRSTStream(1, peer.ErrCodeCancel))
	r.request(7, true, "GET", "/")
	if _, _, code := r.answer(7); code != peer.ErrCodeRefusedStream {
		t.Error(code)
	}
	close(hold)
	if status, _, _ := r.answer(3); status != "200" {
		t.Error(status)
	}
}

func TestALargeFirstFrameIsTaken(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{}, hello)
	var many []peer.Setting
	for i := range 1000 { // of 6 bytes each, all unknown
		many = append(many, peer.Setting{ID: peer.SettingID(1000 + i), Val: 1}) //nolint:gosec // a small number
	}
	r := s.raw(many...)
	r.request(1, true, "GET", "/")
	if status, _, _ := r.answer(1); status != "200" {
		t.Error(status)
	}
}

func TestWindowsHoldTheAnswer(t *testing.T) { // G4
	t.Parallel()
	s := serve(t, Options{}, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 10<<10)) })
	r := s.raw(peer.Setting{ID: peer.SettingInitialWindowSize, Val: 4 << 10})
	r.request(1, true, "GET", "/")
	got := 0
	count := func(f peer.Frame) bool {
		if d, ok := f.(*peer.DataFrame); ok && len(d.Data()) > 0 {
			got += len(d.Data())
			return true
		}
		return false
	}
	r.until(count)
	r.request(3, true, "GET", "/")
	r.until(count) // the other stream goes on
	if got != 8<<10 {
		t.Errorf("%d bytes", got)
	}
	r.must(r.WriteSettings(peer.Setting{ID: peer.SettingInitialWindowSize, Val: 5 << 10})) // both grow by 1 KiB
	r.until(count)
	r.until(count)
	r.must(r.WriteWindowUpdate(1, 100<<10))
	r.must(r.WriteWindowUpdate(3, 100<<10))
	r.until(count)
	r.until(count)
	if got != 20<<10 {
		t.Errorf("%d bytes", got)
	}
}

func TestAWriteThatTheClientDoesNotTakeFailsInTime(t *testing.T) { // H9
	t.Parallel()
	failed := make(chan error, 1)
	s := serve(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		_, err := w.Write(make([]byte, 100<<10))
		failed <- err
	})
	r := s.raw(peer.Setting{ID: peer.SettingInitialWindowSize, Val: 10})
	r.request(1, true, "GET", "/")
	if err := <-failed; err == nil {
		t.Error("it succeeded")
	}
}

func TestADrainServesWhatIsOnItsWay(t *testing.T) { // E1
	t.Parallel()
	entered, open := make(chan struct{}, 2), make(chan struct{})
	s := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-open
		hello(w, r)
	})
	r := s.raw()
	r.request(1, true, "GET", "/")
	<-entered
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(context.Background()) }()
	r.until(func(f peer.Frame) bool { a, ok := f.(*peer.GoAwayFrame); return ok && a.LastStreamID == maxStreamID })
	ping := r.until(func(f peer.Frame) bool { _, ok := f.(*peer.PingFrame); return ok }).(*peer.PingFrame)
	r.request(3, true, "GET", "/") // on its way before the client has heard of it
	<-entered
	r.must(r.WritePing(true, ping.Data))
	r.until(func(f peer.Frame) bool { a, ok := f.(*peer.GoAwayFrame); return ok && a.LastStreamID == 3 })
	r.request(5, true, "GET", "/") // too late
	close(open)
	answered := map[uint32]bool{}
	for len(answered) < 2 {
		f, err := r.ReadFrame()
		if err != nil {
			t.Fatal(err, answered)
		}
		if d, ok := f.(*peer.DataFrame); ok && d.StreamEnded() {
			answered[d.StreamID] = true
		}
	}
	if err := <-drained; err != nil || !answered[1] || !answered[3] {
		t.Error(err, answered)
	}
}

func TestClientsThatAreSilentAreFoundOut(t *testing.T) { // H9
	t.Parallel()
	o := Options{HeadTimeout: 50 * time.Millisecond, PingAfter: 50 * time.Millisecond, PingTimeout: 50 * time.Millisecond}
	s := serve(t, o, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	t.Run("no preface", func(t *testing.T) {
		r := &raw{t: t, conn: s.raw().conn}
		_, _ = io.Copy(io.Discard, r.conn)
	})
	t.Run("a head without end", func(t *testing.T) {
		r := s.raw()
		r.must(r.WriteHeaders(peer.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}}))
		r.ends()
	})
	t.Run("half a frame", func(t *testing.T) {
		r := s.raw()
		_, _ = r.conn.Write([]byte{0, 0, 8, 6, 0})
		r.ends()
	})
	t.Run("no sign of life", func(t *testing.T) {
		r := s.raw()
		r.request(1, true, "GET", "/")
		r.until(func(f peer.Frame) bool { _, ok := f.(*peer.PingFrame); return ok })
		r.ends()
	})
	t.Run("no request", func(t *testing.T) {
		s.SetIdleTimeout(60 * time.Millisecond)
		r := s.raw()
		if code, _ := r.ends(); code != peer.ErrCodeNo {
			t.Error(code)
		}
	})
}

func TestFaultsOfTheConnectionEndIt(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{StreamWindow: 1 << 20, ConnWindow: 70_000}, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for name, c := range map[string]struct {
		send func(r *raw) error
		code peer.ErrCode
	}{
		"data without a stream":        {func(r *raw) error { return r.WriteData(1, true, nil) }, peer.ErrCodeProtocol},
		"an even stream":               {func(r *raw) error { r.request(2, true, "GET", "/"); return nil }, peer.ErrCodeProtocol},
		"a window that grows too much": {func(r *raw) error { return r.WriteWindowUpdate(0, maxWindow) }, peer.ErrCodeFlowControl},
		"a stream that goes back": {func(r *raw) error {
			r.request(5, false, "POST", "/")
			r.request(3, true, "GET", "/")
			return nil
		}, peer.ErrCodeProtocol},
		"more than the connection takes": {func(r *raw) error {
			r.request(1, false, "POST", "/")
			var err error
			for range 5 {
				err = errors.Join(err, r.WriteData(1, false, make([]byte, 16<<10)))
			}
			return err
		}, peer.ErrCodeFlowControl},
		"a field that is too large": {func(r *raw) error {
			block := []byte{0x82, 0x00, 0x01, 'x', 0x7f}
			block = append(binary.AppendUvarint(block, 1<<20), make([]byte, 10<<10)...)
			return r.WriteHeaders(peer.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndHeaders: true})
		}, peer.ErrCodeEnhanceYourCalm},
	} {
		r := s.raw()
		_ = c.send(r) // the server may have gone meanwhile
		if code, _ := r.ends(); code != c.code {
			t.Errorf("%s: %v", name, code)
		}
	}
}

// FuzzConn has a server read what any client might send: it ends, and serves others.
func FuzzConn(f *testing.F) {
	f.Add([]byte(preface))
	f.Add(append([]byte(preface), 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 5, 0, 0, 0, 1, 0x82))
	f.Add(append([]byte(preface), 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 1, 4, 0, 0, 0, 1, 0x83, 0x84, 0x86, 0x41, 0x00, 0, 0, 1, 0, 8, 0, 0, 0, 1, 9))
	f.Fuzz(func(t *testing.T, sent []byte) {
		s := serve(t, Options{HeadTimeout: 20 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body)
		})
		r := s.raw()
		_, _ = r.conn.Write(sent)
		other := s.raw()
		_, _ = other.conn.Write(bytes.TrimPrefix(sent, []byte(preface)))
		for _, c := range []*raw{r, other} {
			_ = c.conn.(interface{ CloseWrite() error }).CloseWrite()
			c.ends()
		}
	})
}
