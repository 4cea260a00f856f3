// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

const (
	traceID = "0af7651916cd43dd8448eb211c80319c"
	spanID  = "b7ad6b7169203331"
	parent  = "00-" + traceID + "-" + spanID + "-01"
)

func TestATraceParentIsTakenOnlyWhenItIsOne(t *testing.T) { // B5
	t.Parallel()
	for text, want := range map[string]bool{
		parent: true, "00-" + traceID + "-" + spanID + "-00": true,
		"01-" + traceID + "-" + spanID + "-01-more":             true,
		"00-" + traceID + "-" + spanID + "-01-more":             false,
		"01-" + traceID + "-" + spanID + "-01more":              false,
		"ff-" + traceID + "-" + spanID + "-01":                  false,
		strings.ToUpper(parent):                                 false,
		"00-" + strings.Repeat("0", 32) + "-" + spanID + "-01":  false,
		"00-" + traceID + "-" + strings.Repeat("0", 16) + "-01": false,
		"00-" + traceID[:31] + "g-" + spanID + "-01":            false,
		"":    false,
		"00-": false,
		"01-" + traceID + "-" + spanID + "-01-" + strings.Repeat("x", 1000): false,
	} {
		trace, span, sampled, ok := parseTraceParent(text)
		if ok != want {
			t.Errorf("%q is %v", text, ok)
		}
		if text == parent && (!sampled || trace[0] != 0x0a || span[7] != 0x31) {
			t.Errorf("%x %x %v", trace, span, sampled)
		}
	}
	for _, lines := range [][]string{{"a=1\r\nX: y"}, {"a=\x00"}, {"a=ü"}, {strings.Repeat("x", 513)}, {strings.Repeat("a=1,", 40)}} {
		if state := validTraceState(lines); state != "" {
			t.Errorf("%q is taken", state)
		}
	}
	if state := validTraceState([]string{"a=1", "b=2"}); state != "a=1,b=2" {
		t.Errorf("%q", state)
	}
}

// collector takes traces.
type collector struct {
	*httptest.Server

	mu     sync.Mutex
	bodies []string
	header http.Header
	status int
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{status: http.StatusOK}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.bodies, c.header = append(c.bodies, r.URL.Path+" "+string(data)), r.Header
		w.WriteHeader(c.status)
	}))
	t.Cleanup(c.Close)
	return c
}

func newTestTracer(t *testing.T, endpoint string, ratio float64) *Tracer {
	t.Helper()
	tracer, err := NewTracer(TracerOptions{
		Endpoint: endpoint, Ratio: ratio, Service: "edge", Version: "1", Headers: map[string]config.Secret{"X-Key": "secret"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tracer.Close)
	return tracer
}

func TestSpansSayWhatHappened(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	tracer := newTestTracer(t, c.URL, 1)
	o := NewObserver(discard(t), tracer)
	x := &exchange.Exchange{
		Start: time.Unix(100, 0), Route: "shop", Scheme: "https", RequestID: "id", Upstream: "http://b:8080", UpstreamPrefix: "/v1",
		UpstreamPath: "/x", UpstreamTook: time.Second, Reason: "upstream_timeout", Flags: exchange.Retried, ClientIP: netip.MustParseAddr("192.0.2.1"),
	}
	tracer.Start(x, []string{parent}, []string{"a=1"})
	x.Span.Asked = time.Unix(101, 0)
	o.trace(&request{x: x, method: "GET", proto: "HTTP/1.1", host: "h", path: "/x", agent: "curl", status: 504, took: 3 * time.Second})
	tracer.Close()
	if len(c.bodies) != 1 || tracer.Exported() != 2 || tracer.Lost() != 0 {
		t.Fatalf("%q, %d exported", c.bodies, tracer.Exported())
	}
	path, body, _ := strings.Cut(c.bodies[0], " ")
	if path != "/v1/traces" || c.header.Get("Content-Type") != "application/json" || c.header.Get("X-Key") != "secret" {
		t.Errorf("%s %v", path, c.header)
	}
	var got otlpTraces
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	spans := got.ResourceSpans[0].ScopeSpans[0].Spans
	server, client := spans[0], spans[1]
	if server.TraceID != traceID || server.Parent != spanID || server.State != "a=1" || server.Kind != kindServer || server.Name != "GET shop" ||
		server.Start != "100000000000" || server.End != "103000000000" || server.Status.Code != statusError {
		t.Errorf("server %+v", server)
	}
	if client.TraceID != traceID || client.Parent != server.SpanID || client.SpanID == server.SpanID || client.Kind != kindClient ||
		client.Start != "101000000000" || client.End != "102000000000" {
		t.Errorf("client %+v", client)
	}
	for _, want := range []string{
		`{"key":"service.name","value":{"stringValue":"edge"}}`, `{"key":"http.response.status_code","value":{"intValue":"504"}}`,
		`{"key":"server.port","value":{"intValue":"8080"}}`, `{"key":"http.request.resend_count","value":{"intValue":"1"}}`,
		`{"key":"error.type","value":{"stringValue":"upstream_timeout"}}`, `{"key":"url.path","value":{"stringValue":"/v1/x"}}`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
	if next := x.Span.ParentHeader(); next != "00-"+traceID+"-"+client.SpanID+"-01" {
		t.Errorf("the endpoint gets %s", next)
	}
}

func TestOnlyATrustedProxyDecidesWhatIsSampled(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	none, all := newTestTracer(t, c.URL, 0), newTestTracer(t, c.URL, 1)
	unsampled := strings.TrimSuffix(parent, "1") + "0"
	for _, x := range []struct {
		tracer  *Tracer
		trusted bool
		parents []string
		sampled bool
		known   bool
	}{
		{none, false, []string{parent}, false, true},
		{none, true, []string{parent}, true, true},
		{all, true, []string{unsampled}, false, true},
		{all, false, []string{unsampled}, true, true},
		{all, true, nil, true, false},
		{none, true, []string{parent, parent}, false, false},
		{none, true, []string{"nonsense"}, false, false},
	} {
		e := &exchange.Exchange{PeerTrusted: x.trusted}
		x.tracer.Start(e, x.parents, []string{"a=1"})
		known := string(e.Span.AppendID(nil)) == traceID
		if e.Span.Sampled != x.sampled || known != x.known || (e.Span.State != "") != x.known {
			t.Errorf("%+v gives %+v", x, e.Span)
		}
	}
}

func TestACollectorThatIsAwayHoldsNothingUp(t *testing.T) { // B4
	t.Parallel()
	c := newCollector(t)
	c.status = http.StatusBadRequest
	tracer := newTestTracer(t, c.URL, 1)
	o := NewObserver(discard(t), tracer)
	const requests = 3 * maxQueuedRecords
	for range requests {
		x := &exchange.Exchange{Start: time.Unix(1, 0)}
		tracer.Start(x, nil, nil)
		o.trace(&request{x: x, method: "BREW", status: 200})
	}
	tracer.Close()
	if tracer.Exported() != 0 || tracer.Lost() != requests {
		t.Errorf("%d exported, %d lost of %d", tracer.Exported(), tracer.Lost(), requests)
	}
}

func TestATracerNeedsAURL(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"", "collector:4318", "grpc://c:4317", "http://"} {
		if tracer, err := NewTracer(TracerOptions{Endpoint: endpoint}); err == nil {
			tracer.Close()
			t.Errorf("%q is taken", endpoint)
		}
	}
}
