// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"encoding/hex"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// TracerOptions say which traces go where.
type TracerOptions struct {
	// Endpoint is the URL of a collector that takes OTLP over HTTP. Without a path it
	// is that of OTLP.
	Endpoint string
	// Headers go with every export.
	Headers map[string]config.Secret
	// Ratio is the share of the requests whose trace begins here that is sampled.
	Ratio float64
	// Service and Version say who traces.
	Service, Version string
	Logger           *slog.Logger
}

// Tracer gives requests their place in a trace and exports spans. A nil Tracer does
// nothing.
type Tracer struct {
	// under is the number of 32 bits below which a random one samples.
	under  uint64
	export *exporter
}

// NewTracer starts exporting. Close ends it.
func NewTracer(o TracerOptions) (*Tracer, error) {
	e, err := newExporter(o)
	if err != nil {
		return nil, err
	}
	ratio := min(max(o.Ratio, 0), 1)
	return &Tracer{under: uint64(ratio * (math.MaxUint32 + 1)), export: e}, nil
}

// Close exports what is left, within a short time.
func (t *Tracer) Close() {
	if t != nil {
		t.export.close()
	}
}

// Exported and Lost count spans.
func (t *Tracer) Exported() uint64 { return t.export.exported.Load() }

// Lost counts the spans that no collector took.
func (t *Tracer) Lost() uint64 { return t.export.lost.Load() }

// Start gives a request its place in the trace of its client, or in one of its own.
// What the client says about sampling counts only from a trusted proxy: else anybody
// could have all requests exported.
func (t *Tracer) Start(x *exchange.Exchange, parents, states []string) {
	s := &exchange.Span{}
	sampled, ok := false, false
	if len(parents) == 1 {
		s.TraceID, s.Parent, sampled, ok = parseTraceParent(parents[0])
	}
	if ok {
		s.State = validTraceState(states)
	} else {
		s.TraceID, s.Parent = [16]byte{}, [8]byte{}
		random(s.TraceID[:])
	}
	random(s.Server[:])
	random(s.Client[:])
	if s.Sampled = sampled; !ok || !x.PeerTrusted {
		s.Sampled = uint64(rand.Uint32()) < t.under //nolint:gosec // a sample is no secret
	}
	x.Span = s
}

// random fills an id, which is never zero.
func random(id []byte) {
	for i := range id {
		id[i] = byte(rand.Uint32()) //nolint:gosec // an id is to be unlike others, not secret
	}
	id[0] |= 1
}

// parseTraceParent reads a traceparent of version 00, or the beginning of one of a
// version to come. B5
func parseTraceParent(text string) (trace [16]byte, parent [8]byte, sampled, ok bool) {
	const length = 55
	if len(text) < length || text[2] != '-' || text[35] != '-' || text[52] != '-' || strings.ToLower(text) != text {
		return trace, parent, false, false
	}
	var version, flags [1]byte
	for _, part := range []struct {
		to   []byte
		from string
	}{{version[:], text[:2]}, {trace[:], text[3:35]}, {parent[:], text[36:52]}, {flags[:], text[53:55]}} {
		if _, err := hex.Decode(part.to, []byte(part.from)); err != nil {
			return trace, parent, false, false
		}
	}
	longer := len(text) > length
	ok = version[0] != 0xff && trace != [16]byte{} && parent != [8]byte{} &&
		(!longer || version[0] > 0 && text[length] == '-' && len(text) <= maxStateBytes)
	return trace, parent, flags[0]&1 != 0, ok
}

// Bounds on tracestate (W3C Trace Context §3.3).
const (
	maxStateBytes   = 512
	maxStateMembers = 32
)

// validTraceState joins the lines of tracestate; one that is not as it should be is
// dropped. B5
func validTraceState(lines []string) string {
	state := strings.Join(lines, ",")
	if len(state) > maxStateBytes || strings.Count(state, ",") >= maxStateMembers {
		return ""
	}
	for i := 0; i < len(state); i++ {
		if c := state[i]; c < ' ' && c != '\t' || c >= 0x7f {
			return ""
		}
	}
	return state
}

// record is a request to be exported as spans.
type record struct {
	span                                  exchange.Span
	start, asked                          time.Time
	took, upstreamTook                    time.Duration
	method, scheme, host, path, route     string
	agent, proto, requestID, reason       string
	upstream, upstreamPrefix, upstreamURL string
	client                                netip.Addr
	status                                int
	flags                                 exchange.Flags
}

// trace has a sampled request exported.
func (o *Observer) trace(q *request) {
	x := q.x
	if x.Span == nil || !x.Span.Sampled || o.tracer == nil {
		return
	}
	o.tracer.export.add(record{
		span: *x.Span, start: x.Start, asked: x.Span.Asked, took: q.took, upstreamTook: x.UpstreamTook,
		method: q.method, scheme: x.Scheme, host: clip(q.host, 256), path: clip(q.path, maxValueBytes), route: x.Route,
		agent: clip(q.agent, 256), proto: strings.TrimPrefix(q.proto, "HTTP/"), requestID: x.RequestID, reason: x.Reason,
		upstream: x.Upstream, upstreamPrefix: x.UpstreamPrefix, upstreamURL: clip(x.UpstreamPath, maxValueBytes),
		client: x.ClientIP, status: q.status, flags: x.Flags,
	})
}
