// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package compress

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

var page = strings.Repeat("The quick brown fox jumps over the lazy dog. ", 200)

func compiled(t testing.TB, rule string, backend http.HandlerFunc, paths ...string) http.Handler {
	t.Helper()
	parsed, problems := parse([]byte(rule))
	if config.HasErrors(problems) {
		t.Fatal(problems)
	}
	h, err := parsed.Handler(definition.Build{Route: definition.RouteInfo{Path: "/"}, Paths: paths}, backend)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// answering is a backend; headers are pairs of name and value.
func answering(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func ask(h http.Handler, accept string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r = r.WithContext(exchange.With(r.Context(), &exchange.Exchange{Path: "/"}))
	if accept != "" {
		r.Header.Set("Accept-Encoding", accept)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// decoded reads a body as its Content-Encoding says.
func decoded(t testing.TB, coding string, body io.Reader) io.Reader {
	t.Helper()
	switch coding {
	case "gzip":
		r, err := gzip.NewReader(body)
		if err != nil {
			t.Fatal(err)
		}
		return r
	case "br":
		return brotli.NewReader(body)
	case "zstd":
		r, err := zstd.NewReader(body, zstd.WithDecoderMaxWindow(windowBytes))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		return r
	}
	return body
}

func text(t testing.TB, w *httptest.ResponseRecorder) string {
	t.Helper()
	data, err := io.ReadAll(decoded(t, w.Header().Get("Content-Encoding"), w.Body))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestEveryEncodingAndLevelIsReadBack(t *testing.T) {
	t.Parallel()
	for _, coding := range []string{"gzip", "br", "zstd"} {
		for _, level := range levels {
			h := compiled(t, `{"level":"`+string(level)+`"}`, answering(200, page))
			for range 3 { // encoders are used again
				w := ask(h, coding)
				size := w.Body.Len()
				if w.Header().Get("Content-Encoding") != coding || size > len(page)/5 || text(t, w) != page {
					t.Errorf("%s %s: %v, %d bytes", coding, level, w.Header(), size)
				}
			}
		}
	}
}

func TestTheEncodingIsTheOneThatTheClientLikesBest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ accept, rule, want string }{
		{"gzip, deflate, br, zstd", `{}`, "zstd"},
		{"gzip, deflate, br", `{}`, "br"},
		{"GZIP", `{}`, "gzip"},
		{"x-gzip", `{}`, "gzip"},
		{"gzip, br, zstd", `{"encodings":["gzip","br"]}`, "gzip"},
		{"gzip;q=1.0, br;q=0.5, zstd;q=0.1", `{}`, "gzip"},
		{"br ; q=0.5 , gzip ;Q=0.6", `{}`, "gzip"},
		{"*", `{}`, "zstd"},
		{"*;q=0.1, gzip", `{}`, "gzip"},
		{"zstd;q=0, *", `{}`, "br"},
		{"gzip;q=0", `{}`, ""},
		{"gzip;q=0.000", `{}`, ""},
		{"gzip;q=2", `{}`, ""},
		{"gzip;q=NaN", `{}`, ""},
		{"gzip;q=0.5, identity", `{}`, ""},
		{"gzip, identity;q=0.5", `{}`, "gzip"},
		{"gzip, *;q=0", `{}`, "gzip"},
		{"deflate", `{}`, ""},
		{"br", `{"encodings":["gzip"]}`, ""},
		{"identity", `{}`, ""},
		{"", `{}`, ""},
		{"gzipped, notgzip", `{}`, ""},
	} {
		w := ask(compiled(t, c.rule, answering(200, page)), c.accept)
		if got := w.Header().Get("Content-Encoding"); got != c.want {
			t.Errorf("%q: %q, want %q", c.accept, got, c.want)
		}
		if w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: Vary %q", c.accept, w.Header().Get("Vary"))
		}
		if text(t, w) != page {
			t.Errorf("%q: another body", c.accept)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header["Accept-Encoding"] = []string{"deflate", "gzip"}
	w := httptest.NewRecorder()
	compiled(t, `{}`, answering(200, page)).ServeHTTP(w, r)
	if w.Header().Get("Content-Encoding") != "gzip" {
		t.Error("the second line of a header is not read")
	}
}

func TestWhatShouldNotBeCompressedIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		backend http.HandlerFunc
		request []string
	}{
		{"what is compressed already", answering(200, page, "Content-Encoding", "br"), nil},
		{"an image", answering(200, page, "Content-Type", "image/jpeg"), nil},
		{"no type at all", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, page)
		}, nil},
		{"what may not be changed", answering(200, page, "Cache-Control", "public, No-Transform"), nil},
		{"a client that wants no change", answering(200, page), []string{"Cache-Control", "no-transform"}},
		{"a part", answering(206, page, "Content-Range", "bytes 0-1/2"), nil},
		{"a request for a part", answering(200, page), []string{"Range", "bytes=0-1"}},
		{"gRPC", answering(200, page, "Content-Type", "application/grpc"), nil},
		{"gRPC as text", answering(200, page), []string{"Content-Type", "application/grpc-web-text"}},
		{"an upgrade", answering(200, page), []string{"Upgrade", "websocket"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := ask(compiled(t, `{}`, c.backend), "gzip", c.request...)
			if w.Body.String() != page || w.Header().Get("Vary") != "" || w.Header().Get("Content-Encoding") == "gzip" {
				t.Fatalf("%v", w.Header())
			}
		})
	}
	grpc := compiled(t, `{"contentTypes":["application/*"]}`, answering(200, page, "Content-Type", "application/grpc+proto"))
	if w := ask(grpc, "gzip"); w.Body.String() != page {
		t.Errorf("gRPC is compressed where a rule covers all of its kind: %v", w.Header())
	}
	for _, status := range []int{204, 205, 304} {
		h := compiled(t, `{"minSize":0}`, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Etag", `"a"`)
			w.WriteHeader(status)
		})
		if w := ask(h, "gzip"); w.Code != status || w.Body.Len() != 0 || w.Header().Get("Content-Encoding") != "" || w.Header().Get("Etag") != `"a"` {
			t.Errorf("%d: %v %d bytes", w.Code, w.Header(), w.Body.Len())
		}
	}
	head := httptest.NewRequest(http.MethodHead, "/", nil)
	head.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	compiled(t, `{}`, answering(200, "", "Content-Length", "9000")).ServeHTTP(w, head)
	if w.Header().Get("Content-Length") != "9000" || w.Header().Get("Content-Encoding") != "" {
		t.Errorf("HEAD: %v", w.Header())
	}
}

func TestASmallBodyIsNotCompressed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule, length string
		size         int
		compressed   bool
	}{
		{`{}`, "", 1023, false}, {`{}`, "", 1024, true}, {`{}`, "1023", 1023, false}, {`{}`, "1024", 1024, true},
		{`{"minSize":"10"}`, "", 9, false}, {`{"minSize":10}`, "", 10, true}, {`{"minSize":0}`, "", 1, true}, {`{}`, "", 0, false},
	} {
		body := strings.Repeat("a", c.size)
		for _, piece := range []int{c.size, 1} {
			h := compiled(t, c.rule, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				if c.length != "" {
					w.Header().Set("Content-Length", c.length)
				}
				for rest := body; rest != ""; rest = rest[piece:] {
					if n, err := io.WriteString(w, rest[:piece]); n != piece || err != nil {
						t.Error(n, err)
					}
				}
			})
			w := ask(h, "gzip")
			if got := w.Header().Get("Content-Encoding") == "gzip"; got != c.compressed {
				t.Errorf("%+v: compressed is %v", c, got)
			}
			if n := w.Header().Get("Content-Length"); !c.compressed && n != strconv.Itoa(c.size) || c.compressed && n != "" {
				t.Errorf("%+v: Content-Length %q", c, n)
			}
			if text(t, w) != body {
				t.Errorf("%+v: another body", c)
			}
		}
	}
}

func TestTypesAreMatchedWithoutParametersAndCase(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule, contentType string
		compressed        bool
	}{
		{`{}`, "Text/HTML; charset=utf-8", true},
		{`{}`, "application/problem+json", true},
		{`{}`, "application/vnd.api+json; a=b", true},
		{`{}`, "image/svg+xml", true},
		{`{}`, "application/octet-stream", false},
		{`{}`, "application/jsonx", false},
		{`{"contentTypes":["application/json"]}`, "text/html", false},
		{`{"contentTypes":["Application/JSON "]}`, "application/json", true},
		{`{"contentTypes":["image/*"]}`, "image/jpeg", true},
		{`{"excludedContentTypes":["text/csv","application/*+xml"]}`, "text/csv", false},
		{`{"excludedContentTypes":["text/csv","application/*+xml"]}`, "application/atom+xml", false},
		{`{"excludedContentTypes":["text/csv"]}`, "text/html", true},
	} {
		w := ask(compiled(t, c.rule, answering(200, page, "Content-Type", c.contentType)), "gzip")
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != c.compressed {
			t.Errorf("%s %s: compressed is %v", c.rule, c.contentType, got)
		}
	}
}

func TestTheHeadDescribesTheCompressedBody(t *testing.T) {
	t.Parallel()
	w := ask(compiled(t, `{}`, answering(200, page, "Content-Length", strconv.Itoa(len(page)), "Etag", `"v1"`, "Accept-Ranges", "bytes",
		"Content-Md5", "x", "Digest", "x", "Vary", "Origin")), "gzip")
	h := w.Header()
	if h.Get("Etag") != `W/"v1"` || h.Get("Content-Length") != "" || h.Get("Accept-Ranges") != "" || h.Get("Content-Md5") != "" || h.Get("Digest") != "" {
		t.Error(h)
	}
	if got := h.Values("Vary"); len(got) != 2 || got[0] != "Origin" || got[1] != "Accept-Encoding" {
		t.Error(got)
	}
	for _, c := range [][2]string{{`W/"v1"`, `W/"v1"`}, {"", ""}} {
		if got := ask(compiled(t, `{}`, answering(200, page, "Etag", c[0])), "gzip").Header().Get("Etag"); got != c[1] {
			t.Errorf("%s became %s", c[0], got)
		}
	}
	for _, vary := range []string{"*", "accept-encoding, origin"} {
		if got := ask(compiled(t, `{}`, answering(200, page, "Vary", vary)), "gzip").Header().Values("Vary"); len(got) != 1 {
			t.Error(got)
		}
	}
	if h := ask(compiled(t, `{}`, answering(200, page, "Etag", `"v1"`, "Content-Encoding", "identity")), "").Header(); h.Get("Etag") != `"v1"` {
		t.Error("a body that stays as it is has another tag", h)
	}
}

func TestAStreamIsFlushedAsItComes(t *testing.T) { // H8
	t.Parallel()
	for _, coding := range []string{"gzip", "br", "zstd"} {
		t.Run(coding, func(t *testing.T) {
			t.Parallel()
			second := make(chan struct{})
			server := httptest.NewServer(compiled(t, `{}`, func(w http.ResponseWriter, _ *http.Request) {
				control := http.NewResponseController(w)
				w.Header().Set("Content-Type", "text/event-stream")
				_ = control.Flush() // as the proxy does for a body of unknown length
				_, _ = io.WriteString(w, "data: one\n")
				_ = control.Flush()
				_ = control.Flush()
				<-second
				_, _ = io.WriteString(w, "data: two\n")
			}))
			defer server.Close()
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			r.Header.Set("Accept-Encoding", coding)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close() //nolint:errcheck // a test
			if resp.Header.Get("Content-Encoding") != coding {
				t.Fatal(resp.Header)
			}
			lines := bufio.NewReader(decoded(t, coding, resp.Body))
			if line, err := lines.ReadString('\n'); line != "data: one\n" {
				t.Fatal(line, err)
			}
			close(second)
			if line, err := lines.ReadString('\n'); line != "data: two\n" {
				t.Fatal(line, err)
			}
			if _, err := lines.ReadByte(); err != io.EOF {
				t.Fatal(err)
			}
		})
	}
}

func TestAnAnswerThatBreaksOffDoesNotEndWell(t *testing.T) { // H11
	t.Parallel()
	server := httptest.NewServer(compiled(t, `{}`, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, page)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	r.Header.Set("Accept-Encoding", "gzip")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // a test
	if _, err := io.ReadAll(decoded(t, "gzip", resp.Body)); err == nil {
		t.Error("half an answer ends like a whole one")
	}
}

// An encoder that was left in the middle of one answer must bring nothing of it
// into the next.
func TestNothingOfAnAnswerIsLeftForTheNext(t *testing.T) {
	t.Parallel()
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			h := compiled(t, `{}`, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				_, _ = io.WriteString(w, strings.Repeat(r.Header.Get("X-Secret"), 2000))
				if r.Header.Get("X-Die") != "" {
					panic(http.ErrAbortHandler)
				}
			})
			for j := range 40 {
				secret := strconv.Itoa(i) + "-" + strconv.Itoa(j) + ";"
				coding := []string{"gzip", "br", "zstd"}[j%3]
				func() {
					defer func() { _ = recover() }() //nolint:errcheck // the abort that was asked for
					ask(h, coding, "X-Secret", "hush"+secret, "X-Die", "1")
				}()
				if got := text(t, ask(h, coding, "X-Secret", secret)); got != strings.Repeat(secret, 2000) {
					t.Errorf("%s: %.40q", coding, got)
				}
			}
		})
	}
	work.Wait()
}

func TestTrailersOfASmallBodyAreKept(t *testing.T) { // H12
	t.Parallel()
	server := httptest.NewServer(compiled(t, `{}`, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "small")
		w.Header().Set("X-Sum", "5")
	}))
	defer server.Close()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	r.Header.Set("Accept-Encoding", "gzip")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // a test
	body, _ := io.ReadAll(resp.Body)
	if string(body) != "small" || resp.Trailer.Get("X-Sum") != "5" {
		t.Errorf("%q %v", body, resp.Trailer)
	}
}

func TestPathsLimitIt(t *testing.T) {
	t.Parallel()
	if w := ask(compiled(t, `{}`, answering(200, page), "/docs"), "gzip"); w.Header().Get("Content-Encoding") != "" {
		t.Error("another path is compressed")
	}
}

func TestARuleThatCannotBeMeantIsRefused(t *testing.T) { // C6
	t.Parallel()
	for rule, want := range map[string]string{
		`{"encodings":["lzw"]}`: "rule.encodings[0]", `{"encodings":["gzip","GZIP"]}`: "rule.encodings[1]", `{"level":"11"}`: "rule.level",
		`{"minSize":"lots"}`: "rule.minSize", `{"minSize":"2Mi"}`: "rule.minSize", `{"contentTypes":["html"]}`: "rule.contentTypes[0]",
		`{"excludedContentTypes":["text/html; charset=utf-8"]}`: "rule.excludedContentTypes[0]",
	} {
		if parsed, problems := parse([]byte(rule)); parsed != nil || len(problems) != 1 || problems[0].Field != want {
			t.Errorf("%s: %v", rule, problems)
		}
	}
	if parsed, problems := parse([]byte(`{"level":"BEST","encodings":["Brotli"]}`)); parsed == nil || len(problems) != 0 {
		t.Error(problems)
	}
}

func FuzzChoose(f *testing.F) {
	f.Add("gzip;q=0.5, *;q=0, br")
	f.Add(";;q=,,*;q")
	f.Fuzz(func(t *testing.T, accept string) {
		e := choose([]string{accept}, []encoding{zstandard, gzips})
		if e != none && !strings.Contains(strings.ToLower(accept), string(e)) && !strings.Contains(accept, "*") {
			t.Fatalf("%q chose %q", accept, e)
		}
	})
}

func BenchmarkCompress(b *testing.B) {
	for _, coding := range []string{"gzip", "br", "zstd"} {
		b.Run(coding, func(b *testing.B) {
			h := compiled(b, `{}`, answering(200, page))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Accept-Encoding", coding)
			b.SetBytes(int64(len(page)))
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				w.Body = new(bytes.Buffer)
				h.ServeHTTP(w, r)
			}
		})
	}
}
