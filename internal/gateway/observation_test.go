// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// scrape gives the metrics, and how many series they have.
func (r *running) scrape() (text string, series int) {
	r.t.Helper()
	status, text := r.ask(r.at.Admin, "/metrics")
	if status != 200 {
		r.t.Fatalf("metrics: %d %s", status, text)
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			series++
		}
	}
	return text, series
}

// raw sends one request in its bytes and gives the head of the answer.
func (r *running) raw(request string) string {
	r.t.Helper()
	c, err := net.Dial("tcp", r.at.Web) //nolint:noctx // a test
	must(r.t, err)
	defer c.Close() //nolint:errcheck // a test
	must(r.t, c.SetDeadline(time.Now().Add(patience)))
	_, _ = io.WriteString(c, request)
	line, _ := bufio.NewReader(c).ReadString('\n')
	return line
}

func TestHostileTrafficMakesNoSeries(t *testing.T) { // B3
	t.Parallel()
	path := filepath.Join(t.TempDir(), "goma.yml")
	const settings = "  monitoring: {enableMetrics: true}\n"
	shop := routeYAML("shop", "/shop", echo(t, "b"))
	guarded := routeYAML("guarded", "/guarded", echo(t, "b"), ", maintenance: {enabled: true}")
	write(t, path, mainFile(settings, shop+guarded))
	r := start(t, Options{ConfigFile: path}).waitReady()
	send := func(i int, method string) {
		for _, at := range []string{"/shop", "/guarded", "/none"} {
			r.raw(fmt.Sprintf("%s %s/p%d?q=%d HTTP/1.1\r\nHost: hostile%d.example\r\nX-Request-Id: rid%d\r\nUser-Agent: ua%d\r\nConnection: close\r\n\r\n",
				method, at, i, i, i, i, i))
		}
	}
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "FIRST"} {
		send(0, method)
	}
	_, before := r.scrape()
	for i := 1; i < 60; i++ {
		send(i, fmt.Sprintf("HOSTILE%d", i))
		send(i, "get")
	}
	text, after := r.scrape()
	if after > before {
		t.Errorf("%d series became %d", before, after)
	}
	if after > 1000 {
		t.Errorf("%d series for two routes", after)
	}
	for _, strange := range []string{"HOSTILE", "hostile", "/p1", "rid1", "ua1", `method="get"`} {
		if strings.Contains(text, strange) {
			t.Errorf("%s is in the metrics", strange)
		}
	}
	if !strings.Contains(text, `method="OTHER",name="shop"`) {
		t.Error("unknown methods are not counted")
	}
	write(t, path, mainFile(settings, guarded))
	r.untilRoutes("guarded")
	gone := func() bool {
		text, _ := r.scrape()
		return !strings.Contains(text, `name="shop"`)
	}
	for deadline := time.Now().Add(patience); !gone(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the series of a route that is gone are still there")
		}
	}
}

func TestTheMetricsTellOfConnectionsHealthAndConfiguration(t *testing.T) {
	t.Parallel()
	backend := echo(t, "b")
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, path, mainFile("  monitoring: {enableMetrics: true}\n",
		routeYAML("shop", "/shop", backend, ", healthCheck: {path: /health, interval: 1h}")+routeYAML("down", "/down", "http://127.0.0.1:1")))
	r := start(t, Options{ConfigFile: path}).waitReady()
	r.expect("/shop/x", 200, "b /shop/x")
	r.expect("/down", 502, "")
	text, _ := r.scrape()
	for _, want := range []string{
		`gateway_upstream_connections_open{endpoint="` + backend + `"} 1`, `gateway_upstream_connections_total{endpoint="` + backend + `"} 1`,
		`gateway_upstream_connect_errors_total{endpoint="http://127.0.0.1:1"} 1`,
		`gateway_endpoint_healthy{endpoint="` + backend + `",name="shop"} 1`,
		`gateway_upstream_duration_seconds_count{name="shop"} 1`, `gateway_response_bytes_total{method="GET",name="shop"} 9`,
		`gateway_client_connections{entrypoint="web"} 1`, `gateway_client_connections_total{entrypoint="web"} 1`,
		`gateway_config_applies_total{result="success"} `, `gateway_config_generation `, `gateway_realtime_visitors_count 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if code, body := r.ask(r.at.Admin, "/config"); code != 200 || !strings.Contains(body, `"checksum":"sha256:`) || !strings.Contains(body, `"generation":`) {
		t.Errorf("%d %s", code, body)
	}
}

func TestMetricsAreGuardedByTheirMiddlewareAndHiddenByHost(t *testing.T) { // B2
	t.Parallel()
	path := filepath.Join(t.TempDir(), "goma.yml")
	// The user is admin with the password "secret".
	write(t, path, mainFile("  monitoring: {enableMetrics: true, metricsPath: /m, host: metrics.example.com, middleware: {metrics: [guard]}}\n", "")+
		"middlewares:\n  - {name: guard, type: basic, rule: {users: [{username: admin, password: secret}]}}\n")
	r := start(t, Options{ConfigFile: path}).waitReady()
	ask := func(address, host, password string) int {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/m", nil)
		must(t, err)
		q.Host = host
		if password != "" {
			q.SetBasicAuth("admin", password)
		}
		resp, err := r.client.Do(q)
		must(t, err)
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	for _, x := range []struct {
		address, host, password string
		status                  int
	}{
		{r.at.Web, "metrics.example.com", "secret", 200},
		{r.at.Web, "metrics.example.com", "", 401},
		{r.at.Web, "metrics.example.com", "wrong", 401},
		{r.at.Web, "other.example.com", "secret", 404},
		{r.at.Admin, "10.0.0.1", "secret", 200}, // a scraper inside does not know the host
		{r.at.Admin, "10.0.0.1", "", 401},
	} {
		if got := ask(x.address, x.host, x.password); got != x.status {
			t.Errorf("%+v: %d", x, got)
		}
	}
}

func TestTracesGoThroughTheGatewayAndToTheCollector(t *testing.T) { // B5
	t.Parallel()
	var mu sync.Mutex
	var exported bytes.Buffer
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.Copy(&exported, r.Body)
	}))
	defer collector.Close()
	seen := make(chan http.Header, 10)
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header }))
	defer backend.Close()
	path := filepath.Join(t.TempDir(), "goma.yml")
	tracing := "  tracing: {enabled: true, sampleRatio: 1, endpoint: " + collector.URL + "}\n"
	routes := routeYAML("direct", "/direct", backend.URL) + routeYAML("through", "/through", backend.URL, ", middlewares: [prefix]")
	middlewares := "middlewares:\n  - {name: prefix, type: addPrefix, rule: {prefix: /v1}}\n"
	write(t, path, mainFile(tracing, routes)+middlewares)
	r := start(t, Options{ConfigFile: path}).waitReady()
	const id = "0af7651916cd43dd8448eb211c80319c"
	const parent = "00-" + id + "-b7ad6b7169203331-01"
	for _, at := range []string{"/direct", "/through"} {
		for _, sent := range []string{parent, "00-nonsense"} {
			r.raw("GET " + at + " HTTP/1.1\r\nHost: h\r\ntraceparent: " + sent + "\r\nTracestate: a=1\r\nConnection: close\r\n\r\n")
			h := <-seen
			got := h.Values("Traceparent")
			if len(got) != 1 || got[0] == sent || !strings.HasSuffix(got[0], "-01") {
				t.Fatalf("%s: the backend got %q", at, got)
			}
			if continued := strings.Contains(got[0], id); continued != (sent == parent) || (h.Get("Tracestate") == "a=1") != continued {
				t.Errorf("%s: the client sent %s, the backend got %s %q", at, sent, got[0], h.Values("Tracestate"))
			}
		}
	}
	r.end()
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{id, `"parentSpanId":"b7ad6b7169203331"`, `"name":"GET direct"`, `"name":"GET through"`, `"stringValue":"/v1/through"`} {
		if !strings.Contains(exported.String(), want) {
			t.Errorf("no %s in %s", want, exported.String())
		}
	}
	if !strings.Contains(r.log.String(), "trace_id="+id) {
		t.Errorf("no trace in the log:\n%s", r.log)
	}
}

// Without tracing the gateway is no part of a trace, and what the client and the
// backend agree on is theirs.
func TestWithoutTracingATraceContextPassesAsItIs(t *testing.T) {
	t.Parallel()
	seen := make(chan http.Header, 1)
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header }))
	defer backend.Close()
	file := &config.File{Gateway: config.Gateway{Routes: []config.Route{{Name: "r", Path: "/", Target: backend.URL}}}}
	r := start(t, Options{File: file}).waitReady()
	r.raw("GET / HTTP/1.1\r\nHost: h\r\nTraceparent: mine\r\nTracestate: b=2\r\nConnection: close\r\n\r\n")
	if h := <-seen; h.Get("Traceparent") != "mine" || h.Get("Tracestate") != "b=2" {
		t.Errorf("%v", h)
	}
}

func TestEveryKindOfRequestIsInTheAccessLog(t *testing.T) { // B4, R6
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Upgrade") != "":
			conn, buffer, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			line, _ := buffer.ReadString('\n')
			_, _ = io.WriteString(conn, line)
			_ = conn.Close()
		case strings.HasSuffix(r.URL.Path, "/stream"):
			for range 3 {
				_, _ = io.WriteString(w, "data: x\n\n")
				_ = http.NewResponseController(w).Flush()
			}
		}
	}))
	defer backend.Close()
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, path, mainFile("  log: {format: json}\n", routeYAML("r", "/app", backend.URL, ", rewrite: /inner")))
	r := start(t, Options{ConfigFile: path}).waitReady()
	r.raw("GET /app/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nhello\n")
	r.raw("GET /app/stream?code=canary&token=canary HTTP/1.1\r\nHost: h\r\nAuthorization: canary\r\nReferer: http://a/?code=canary\r\nConnection: close\r\n\r\n")
	r.raw("GET /app/x%0d%0ay HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	r.raw("NO\tREQUEST\r\n\r\n")
	r.end()
	log := r.log.String()
	for _, want := range [][]string{
		{`"url":"/app/ws"`, `"status":101`, `"flags":"upgraded"`, `"upstream_path":"/inner/ws"`},
		{`"url":"/app/stream"`, `"status":200`, `"route":"r"`, `"upstream_path":"/inner/stream"`, `"backend":"` + backend.URL + `"`},
		{`"reason":"bad_path"`, `"status":400`},
		{`"reason":"malformed"`, `"status":400`},
	} {
		found := false
		for line := range strings.Lines(log) {
			all := strings.Contains(line, "Proxied request")
			for _, part := range want {
				all = all && strings.Contains(line, part)
			}
			found = found || all
		}
		if !found {
			t.Errorf("no line with %q in\n%s", want, log)
		}
	}
	if strings.Contains(log, "canary") {
		t.Errorf("a secret in\n%s", log)
	}
}
