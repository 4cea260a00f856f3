// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// written gives the lines that a log of a format has after an action.
func written(t *testing.T, format, level string, act func(*Observer)) string {
	t.Helper()
	var out bytes.Buffer
	log, err := NewLog(config.Log{Level: level, Format: format}, &out)
	if err != nil {
		t.Fatal(err)
	}
	act(NewObserver(log, nil))
	log.Close()
	return out.String()
}

func hostile() *request {
	const nasty = "a\r\nb\x00\x1b[31m\"\\=\xff\u2028\u009b\U0001F600 c"
	return &request{
		x: &exchange.Exchange{
			RequestID: "id", Route: "shop", Start: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), ClientIP: netip.MustParseAddr("192.0.2.7"),
			Upstream: "http://b:80", UpstreamPrefix: "/v1", UpstreamPath: "/x", UpstreamTook: 1500 * time.Microsecond,
			Reason: "r", Flags: exchange.Retried | exchange.Aborted,
			Span: &exchange.Span{TraceID: [16]byte{0xab}},
		},
		method: nasty, proto: "HTTP/1.1", host: "h", path: "/p", referer: nasty, agent: nasty, status: 200, took: 34100 * time.Microsecond,
	}
}

func TestNothingBreaksOutOfItsLine(t *testing.T) { // B4, P9
	t.Parallel()
	extra := []slog.Attr{slog.String("k\n", "v\r\n"), slog.String("status", "299"), slog.String("k\n", "again")}
	write := func(o *Observer) { o.access(hostile(), nil, extra) }
	for _, format := range []string{"json", "text"} {
		out := written(t, format, "info", write)
		if strings.Count(out, "\n") != 1 || !strings.HasSuffix(out, "\n") || strings.ContainsAny(out[:len(out)-1], "\r\x00\x1b\u009b\u2028") {
			t.Errorf("%s: %q", format, out)
		}
		if format == "text" {
			for _, want := range []string{
				"time=2026-01-02T03:04:05.040Z level=INFO msg=\"Proxied request\" request_id=id ", `upstream_path=/v1/x`, `referer="a\r\nb\x00`,
				"duration=34.10ms", "upstream_duration=1.50ms", "flags=retried,aborted", "trace_id=ab000000",
			} {
				if !strings.Contains(out, want) {
					t.Errorf("no %s in %s", want, out)
				}
			}
			continue
		}
		var line map[string]any
		if err := json.Unmarshal([]byte(out), &line); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for field, want := range map[string]any{
			"user_agent": "a\r\nb\x00\x1b[31m\"\\=\ufffd\u2028\u009b\U0001F600 c", "status": 200.0, "k\n": "v\r\n", "client_ip": "192.0.2.7",
			"backend": "http://b:80", "upstream_path": "/v1/x", "reason": "r", "flags": "retried,aborted", "duration": "34.10ms",
			"time": "2026-01-02T03:04:05.040Z", "trace_id": "ab" + strings.Repeat("0", 30),
		} {
			if line[field] != want {
				t.Errorf("%s is %q, want %q", field, line[field], want)
			}
		}
		if strings.Count(out, `"status"`) != 1 || strings.Contains(out, "again") {
			t.Errorf("a field twice: %s", out)
		}
	}
}

// The order of the fields is part of the format.
func TestFieldsComeInTheirOrder(t *testing.T) {
	t.Parallel()
	out := written(t, "json", "info", func(o *Observer) { o.access(hostile(), nil, []slog.Attr{slog.String("last", "x")}) })
	at := -1
	for _, name := range []string{
		"time", "level", "msg", "request_id", "method", "url", "http_version", "host", "client_ip", "referer", "status", "duration", "route",
		"user_agent", "last",
	} {
		i := strings.Index(out, `"`+name+`":`)
		if i <= at {
			t.Errorf("%s is not where it belongs: %s", name, out)
		}
		at = i
	}
}

func TestALineCostsNoMemory(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		log, err := NewLog(config.Log{Level: "info", Format: format}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		o, q := NewObserver(log, nil), hostile()
		q.method, q.agent, q.x.UpstreamPrefix = "GET", "curl/8", ""
		q.x.Meter = NewMetrics().Route("shop")
		line := func() {
			o.count(q)
			if o.logs(200) {
				o.access(q, nil, nil)
			}
		}
		for range 1000 {
			line() // the queue has grown to its size
		}
		if n := testing.AllocsPerRun(1000, line); n > 1 {
			t.Errorf("%s: %v allocations", format, n)
		}
		log.SetLevel("error")
		if n := testing.AllocsPerRun(1000, line); n != 0 {
			t.Errorf("%s, not written: %v allocations", format, n)
		}
		log.Close()
	}
}

func TestOfASampleNothingIsMissingThatWentWrong(t *testing.T) {
	t.Parallel()
	out := written(t, "json", "info", func(o *Observer) {
		o.SetSampling(0.25)
		for i := range 4000 {
			status := 200
			if i%10 == 0 {
				status = 404
			}
			if o.logs(status) {
				q := hostile()
				q.status = status
				o.access(q, nil, nil)
			}
		}
	})
	if n := strings.Count(out, `"status":404`); n != 400 {
		t.Errorf("%d of 400 refusals", n)
	}
	if n := strings.Count(out, `"status":200`); n < 700 || n > 1100 {
		t.Errorf("%d of 3600 others, of which a quarter is wanted", n)
	}
	none := written(t, "json", "info", func(o *Observer) {
		o.SetSampling(0)
		if o.logs(200) || !o.logs(500) {
			t.Error("a sample of nothing")
		}
	})
	if none != "" {
		t.Error(none)
	}
}

func TestDetailsInTextKeepTheirGroup(t *testing.T) { // B5
	t.Parallel()
	out := written(t, "text", "debug", func(o *Observer) {
		o.access(hostile(), &details{
			length: 3, query: "a=1&code=canary&token=canary&api_key=canary&%74oken=canary",
			request:  http.Header{"X-A": {"1", "2"}, "Cookie": {"canary"}, "Authorization": {"canary"}, "X-Api-Key": {"canary"}, "B\n": {"x"}},
			response: http.Header{"Set-Cookie": {"canary"}},
		}, nil)
	})
	if strings.Contains(out, "canary") || strings.Count(out, "\n") != 1 {
		t.Errorf("%s", out)
	}
	for _, want := range []string{`request_headers.X-A="1, 2"`, "request_headers.Cookie=***", "response_headers.Set-Cookie=***", "request_content_length=3"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in %s", want, out)
		}
	}
}
