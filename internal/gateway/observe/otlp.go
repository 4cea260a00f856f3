// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// scope is who traces.
type scope struct{ service, version string }

// The messages of OTLP, as far as they are needed, in its JSON encoding: ids are in
// hexadecimal, and integers of 64 bits are text.
type (
	otlpTraces struct {
		ResourceSpans []otlpResourceSpans `json:"resourceSpans"`
	}
	otlpResourceSpans struct {
		Resource   otlpResource     `json:"resource"`
		ScopeSpans []otlpScopeSpans `json:"scopeSpans"`
	}
	otlpResource struct {
		Attributes otlpAttributes `json:"attributes"`
	}
	otlpScopeSpans struct {
		Scope otlpScope  `json:"scope"`
		Spans []otlpSpan `json:"spans"`
	}
	otlpScope struct {
		Name    string `json:"name"`
		Version string `json:"version,omitempty"`
	}
	otlpSpan struct {
		TraceID    string         `json:"traceId"`
		SpanID     string         `json:"spanId"`
		Parent     string         `json:"parentSpanId,omitempty"`
		State      string         `json:"traceState,omitempty"`
		Flags      uint32         `json:"flags"`
		Name       string         `json:"name"`
		Kind       int            `json:"kind"`
		Start      string         `json:"startTimeUnixNano"`
		End        string         `json:"endTimeUnixNano"`
		Attributes otlpAttributes `json:"attributes"`
		Status     otlpStatus     `json:"status"`
	}
	otlpStatus struct {
		Code int `json:"code,omitempty"`
	}
	otlpAttribute struct {
		Key   string    `json:"key"`
		Value otlpValue `json:"value"`
	}
	otlpValue struct {
		Text   *string `json:"stringValue,omitempty"`
		Number *string `json:"intValue,omitempty"`
	}
	otlpAttributes []otlpAttribute
)

// Values of enumerations.
const (
	kindServer  = 2
	kindClient  = 3
	statusError = 2
	flagSampled = 1
)

// text adds an attribute that is not empty.
func (a *otlpAttributes) text(key, value string) {
	if value != "" {
		*a = append(*a, otlpAttribute{key, otlpValue{Text: &value}})
	}
}

func (a *otlpAttributes) number(key string, value int) {
	text := strconv.Itoa(value)
	*a = append(*a, otlpAttribute{key, otlpValue{Number: &text}})
}

// encodeSpans gives the body of an export.
func encodeSpans(s scope, batch []record) ([]byte, error) {
	var resource otlpAttributes
	resource.text("service.name", s.service)
	resource.text("service.version", s.version)
	spans := make([]otlpSpan, 0, 2*len(batch))
	for i := range batch {
		spans = append(spans, batch[i].server())
		if batch[i].asks() {
			spans = append(spans, batch[i].outward())
		}
	}
	return json.Marshal(otlpTraces{[]otlpResourceSpans{{
		Resource:   otlpResource{resource},
		ScopeSpans: []otlpScopeSpans{{Scope: otlpScope{"goma-gateway", s.version}, Spans: spans}},
	}}})
}

// asks tells that an endpoint was asked.
func (r *record) asks() bool { return !r.asked.IsZero() }

// spans counts what a request is exported as.
func (r *record) spans() uint64 {
	if r.asks() {
		return 2
	}
	return 1
}

// base begins both kinds of spans.
func (r *record) base(kind int, start time.Time, took time.Duration) otlpSpan {
	method, original := r.method, ""
	if methodIndex(method) == len(methods)-1 {
		method, original = "_OTHER", clip(r.method, 32)
	}
	s := otlpSpan{
		TraceID: hex.EncodeToString(r.span.TraceID[:]), State: r.span.State, Flags: flagSampled, Kind: kind,
		Start: strconv.FormatInt(start.UnixNano(), 10), End: strconv.FormatInt(start.Add(took).UnixNano(), 10),
	}
	s.Attributes.text("http.request.method", method)
	s.Attributes.text("http.request.method_original", original)
	if s.Name = method; original != "" {
		s.Name = "HTTP" // as the conventions of OpenTelemetry have it
	}
	return s
}

// server is the span from the head of the request to the end of its answer.
func (r *record) server() otlpSpan {
	s := r.base(kindServer, r.start, r.took)
	s.SpanID = hex.EncodeToString(r.span.Server[:])
	if r.span.Parent != [8]byte{} {
		s.Parent = hex.EncodeToString(r.span.Parent[:])
	}
	if r.route != "" {
		s.Name += " " + r.route
	}
	a := &s.Attributes
	a.text("url.scheme", r.scheme)
	a.text("url.path", r.path)
	a.text("server.address", r.host)
	if r.client.IsValid() {
		a.text("client.address", r.client.String())
	}
	a.text("network.protocol.version", r.proto)
	a.text("user_agent.original", r.agent)
	a.number("http.response.status_code", r.status)
	a.text("goma.route", r.route)
	a.text("goma.request_id", r.requestID)
	a.text("goma.reason", r.reason)
	if r.status >= 500 || r.flags&exchange.Aborted != 0 {
		s.Status.Code = statusError
		if a.text("error.type", r.reason); r.reason == "" {
			a.text("error.type", strconv.Itoa(r.status))
		}
	}
	return s
}

// outward is the span of the request to an endpoint, to the head of its response.
func (r *record) outward() otlpSpan {
	s := r.base(kindClient, r.asked, r.upstreamTook)
	s.SpanID, s.Parent = hex.EncodeToString(r.span.Client[:]), hex.EncodeToString(r.span.Server[:])
	a := &s.Attributes
	scheme, address, _ := strings.Cut(r.upstream, "://")
	u := url.URL{Host: address}
	a.text("url.scheme", scheme)
	a.text("server.address", u.Hostname())
	if port, err := strconv.Atoi(u.Port()); err == nil {
		a.number("server.port", port)
	}
	a.text("url.path", r.upstreamPrefix+r.upstreamURL)
	if r.flags&exchange.Retried != 0 {
		a.number("http.request.resend_count", 1)
	}
	if r.reason != "" {
		s.Status.Code = statusError
		a.text("error.type", r.reason)
	} else {
		a.number("http.response.status_code", r.status)
	}
	return s
}
