// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// entry stands for an entry point: it fills the exchange.
func entry(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange.Exchange{
			RequestID: "0123", Path: r.URL.EscapedPath(), Start: time.Now(), ClientIP: netip.MustParseAddr("192.0.2.7"), Route: "shop",
		}
		next.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
	})
}

// logged runs one request and gives the line of its access log.
func logged(t *testing.T, level string, h http.HandlerFunc, edit func(*http.Request)) (*http.Response, map[string]any) {
	t.Helper()
	var out bytes.Buffer
	log, err := NewLog(config.Log{Level: level, Format: "json"}, &out)
	if err != nil {
		t.Fatal(err)
	}
	o := NewObserver(log, nil)
	server := httptest.NewServer(entry(o.Wrap(h)))
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/cart?token=canary-1&page=2", nil)
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(r)
	}
	resp, err := server.Client().Do(r)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	server.Close()
	log.Close()
	if strings.Contains(out.String(), "canary") {
		t.Errorf("the log holds a secret: %s", out.String())
	}
	var line map[string]any
	for text := range strings.Lines(out.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(text), &fields); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if fields["msg"] == accessMessage {
			line = fields
		}
	}
	return resp, line
}

func TestARequestIsOneLineWithItsFacts(t *testing.T) { // B4, R6
	t.Parallel()
	resp, line := logged(t, "info", func(w http.ResponseWriter, r *http.Request) {
		x := exchange.Of(r)
		x.Upstream = "http://10.0.0.1:80"
		r.URL.Path = "/rewritten"
		w.Header().Set("Server", "backend/1")
		w.WriteHeader(http.StatusCreated)
	}, func(r *http.Request) {
		r.Header.Set("Referer", "https://a.example/?code=canary-2")
		r.Header.Set("User-Agent", "a\tb"+strings.Repeat("x", 5000))
	})
	if resp.Header.Get("X-Goma-Request-ID") != "0123" || resp.Header.Get("Proxied-By") != "Goma Gateway" || resp.Header.Get("Server") != "" {
		t.Errorf("headers %v", resp.Header)
	}
	for field, want := range map[string]any{
		"level": "INFO", "request_id": "0123", "method": "GET", "url": "/cart", "http_version": "HTTP/1.1", "client_ip": "192.0.2.7",
		"referer": "https://a.example/", "status": 201.0, "route": "shop", "backend": "http://10.0.0.1:80",
	} {
		if line[field] != want {
			t.Errorf("%s is %v, want %v", field, line[field], want)
		}
	}
	if agent, _ := line["user_agent"].(string); len(agent) > maxValueBytes+3 {
		t.Errorf("a client wrote %d bytes into one field", len(agent))
	}
	if took, _ := line["duration"].(string); !strings.HasSuffix(took, "ms") || !strings.Contains(took, ".") {
		t.Errorf("duration %q", took)
	}
	if _, err := time.Parse(time.RFC3339, line["time"].(string)); err != nil {
		t.Error(err)
	}
}

func TestDebugAddsHeadersAndQueryWithoutCredentials(t *testing.T) { // B5
	t.Parallel()
	_, line := logged(t, "debug", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "a=canary-3")
		w.WriteHeader(http.StatusTeapot)
	}, func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer canary-4")
		r.Header.Set("X-Api-Key", "canary-5")
		r.Header.Set("Cookie", "s=canary-6")
		r.Header.Set("X-Trace", "plain")
	})
	if line["query_params"] != "token=***&page=2" || line["level"] != "WARN" {
		t.Errorf("line %v", line)
	}
	headers, _ := line["request_headers"].(map[string]any)
	if headers["X-Trace"] != "plain" || headers["Authorization"] != "***" {
		t.Errorf("headers %v", headers)
	}
}

func TestAPanicIsA500OfThatRequest(t *testing.T) { // M4
	t.Parallel()
	resp, line := logged(t, "info", func(http.ResponseWriter, *http.Request) { panic("boom") }, nil)
	if resp == nil || resp.StatusCode != 500 || resp.Header.Get("Proxied-By") == "" {
		t.Fatalf("answer %+v", resp)
	}
	if line["status"] != 500.0 || line["reason"] != "panic" {
		t.Errorf("line %v", line)
	}
}

func TestAPanicInABodyNeverEndsItCleanly(t *testing.T) { // M4, H11
	t.Parallel()
	o := NewObserver(discard(t), nil)
	server := httptest.NewServer(entry(o.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "some")
		_ = http.NewResponseController(w).Flush()
		panic("boom")
	}))))
	defer server.Close()
	resp, err := http.Get(server.URL) //nolint:noctx // a test server
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // a test
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("the body ended as if it were whole: %q", body)
	}
	if o.Panics() != 1 {
		t.Errorf("%d panics", o.Panics())
	}
}

func TestAnswersKeepFlushHijackAndInformationalHeads(t *testing.T) { // H7, H8
	t.Parallel()
	release := make(chan struct{})
	o := NewObserver(discard(t), nil)
	server := httptest.NewServer(entry(o.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello")
			_ = conn.Close()
			return
		}
		w.Header().Set("Link", "</a.css>")
		w.WriteHeader(http.StatusEarlyHints)
		_ = http.NewResponseController(w).Flush() // without a head of its own
		<-release
		_, _ = io.Copy(w, strings.NewReader("late"))
	}))))
	defer server.Close()
	resp, err := http.Get(server.URL) //nolint:noctx // a test server
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Proxied-By") == "" {
		t.Errorf("head %d %v", resp.StatusCode, resp.Header)
	}
	close(release) // the head came before the body existed
	if body, _ := io.ReadAll(resp.Body); string(body) != "late" {
		t.Errorf("body %q", body)
	}
	_ = resp.Body.Close()

	conn, err := net.Dial("tcp", server.Listener.Addr().String()) //nolint:noctx // a test server
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // a test
	_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	if text, _ := io.ReadAll(conn); !strings.HasPrefix(string(text), "HTTP/1.1 101") || !strings.HasSuffix(string(text), "hello") {
		t.Errorf("upgrade %q", text)
	}
}

func discard(t *testing.T) *Log {
	t.Helper()
	log, err := NewLog(config.Log{Level: "off"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	return log
}

// stuck is a pipe that nobody reads until it is told to.
type stuck struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (s *stuck) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(p)
}

func TestALogThatNobodyReadsBlocksNothingAndCountsWhatIsLost(t *testing.T) { // B4
	t.Parallel()
	pipe := &stuck{}
	pipe.mu.Lock()
	sink := NewSink(pipe)
	line := []byte(strings.Repeat("x", 1023) + "\n")
	for range maxQueuedBytes / len(line) * 3 {
		_, _ = sink.Write(line)
	}
	if sink.Dropped() == 0 {
		t.Error("nothing was dropped")
	}
	pipe.mu.Unlock()
	sink.Close()
	pipe.mu.Lock()
	defer pipe.mu.Unlock()
	written := uint64(pipe.out.Len() / len(line))
	if total := uint64(maxQueuedBytes / len(line) * 3); written+sink.Dropped() != total {
		t.Errorf("%d written, %d dropped of %d", written, sink.Dropped(), total)
	}
}

func TestALogFileIsPutAsideWhenItHasGrown(t *testing.T) { // C7: maxBackups and maxAgeDays are what they say
	t.Parallel()
	path := filepath.Join(t.TempDir(), "logs", "goma.log")
	f, err := OpenFile(path, Rotation{MaxSizeMB: 1, MaxBackups: 2, MaxAgeDays: 1})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	f.now = func() time.Time { now = now.Add(time.Second); return now }
	half := bytes.Repeat([]byte("x"), 600<<10)
	for range 5 {
		if _, err := f.Write(half); err != nil {
			t.Fatal(err)
		}
	}
	aside := func() []string {
		list, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "goma-*.log"))
		return list
	}
	if n := len(aside()); n != 2 {
		t.Errorf("%d files were kept", n)
	}
	old := now.AddDate(0, 0, -2)
	if err := os.Chtimes(aside()[0], old, old); err != nil {
		t.Fatal(err)
	}
	f.prune()
	if n := len(aside()); n != 1 {
		t.Errorf("%d files are left of which one is too old", n)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != int64(len(half)) {
		t.Errorf("the file at hand: %v, %v", info, err)
	}
}

func TestTheLevelCanChangeWhileTheProcessRuns(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, err := NewLog(config.Log{Level: "off"}, &out)
	if err != nil {
		t.Fatal(err)
	}
	log.Error("one")
	if !log.SetLevel("trace") || log.SetLevel("TRACE") || log.SetLevel("nonsense") {
		t.Error("SetLevel does not tell whether it changed anything")
	}
	log.Log(t.Context(), LevelTrace, "two")
	log.Close()
	if text := out.String(); strings.Contains(text, "one") || !strings.Contains(text, "level=TRACE msg=two") {
		t.Errorf("log %q", text)
	}
}

func TestSeriesComeFromRoutesOnlyAndGoWithThem(t *testing.T) { // B3
	t.Parallel()
	m := NewMetrics()
	m.SetCounts(3, 2)
	shop := m.Route("shop")
	for _, method := range []string{"GET", "GET", "PROPFIND", "X1", "X2", "X3"} {
		shop.Observe(exchange.Sample{Method: method, Status: 200, Took: 20 * time.Millisecond})
	}
	shop.Observe(exchange.Sample{Method: "GET", Status: 503, Took: 20 * time.Second})
	shop.Observe(exchange.Sample{Method: "GET", Status: 9999, Took: time.Second})
	const want = `
# HELP gateway_requests_total Requests by route and method. At most ten series for a route.
# TYPE gateway_requests_total counter
gateway_requests_total{method="GET",name="shop"} 4
gateway_requests_total{method="OTHER",name="shop"} 4
# HELP gateway_response_status_total Answers by status, route and method. One series for each combination seen.
# TYPE gateway_response_status_total counter
gateway_response_status_total{method="GET",name="shop",status="0"} 1
gateway_response_status_total{method="GET",name="shop",status="200"} 2
gateway_response_status_total{method="GET",name="shop",status="503"} 1
gateway_response_status_total{method="OTHER",name="shop",status="200"} 4
# HELP gateway_routes_count Routes that are live. One series.
# TYPE gateway_routes_count gauge
gateway_routes_count 3
`
	if err := testutil.CollectAndCompare(m, strings.NewReader(want),
		"gateway_requests_total", "gateway_response_status_total", "gateway_routes_count"); err != nil {
		t.Error(err)
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, part := range []string{
		`gateway_request_duration_seconds_bucket{method="GET",name="shop",le="0.025"} 2`,
		`gateway_request_duration_seconds_bucket{method="GET",name="shop",le="10"} 3`,
		`gateway_request_duration_seconds_count{method="GET",name="shop"} 4`,
		"gateway_uptime_seconds", "gateway_middlewares_count 2", "go_goroutines",
	} {
		if !strings.Contains(w.Body.String(), part) {
			t.Errorf("no %s", part)
		}
	}
	again := m.Route("shop") // a new meter of the name is not taken away by the old one
	shop.Close()
	again.Observe(exchange.Sample{Method: "GET", Status: 200})
	if n := testutil.CollectAndCount(m, "gateway_requests_total"); n != 1 {
		t.Errorf("%d series", n)
	}
	again.Close()
	if n := testutil.CollectAndCount(m, "gateway_requests_total", "gateway_response_status_total"); n != 0 {
		t.Errorf("%d series of a route that is gone", n)
	}
}

func TestCountingCostsNoMemory(t *testing.T) {
	m := NewMetrics()
	meter := m.Route("r")
	m.SetCountries(func(netip.Addr) string { return "DE" })
	sample := exchange.Sample{
		Method: "GET", Status: 200, Took: time.Millisecond, Upstream: time.Millisecond, Received: 1, Sent: 2,
		Client: netip.MustParseAddr("2001:db8::1"),
	}
	meter.Observe(sample)
	if n := testing.AllocsPerRun(100, func() { meter.Observe(sample) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
