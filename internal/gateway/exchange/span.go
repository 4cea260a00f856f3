// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package exchange

import "time"

// Span is the place of a request in a trace (W3C Trace Context). What the client
// sent was valid, or is not in it.
type Span struct {
	TraceID [16]byte
	// Parent is the span of the client; zero where the trace begins here. Server is
	// that of the gateway, and Client the one of its request to an endpoint.
	Parent, Server, Client [8]byte
	// Sampled says that the spans are going to be exported.
	Sampled bool
	// State is the client's tracestate.
	State string
	// Asked is when an endpoint was chosen; zero before.
	Asked time.Time
}

// traceParentBytes is the length of a traceparent of version 00.
const traceParentBytes = 55

// AppendParent appends the traceparent that an endpoint gets.
func (s *Span) AppendParent(dst []byte) []byte {
	dst = append(dst, "00-"...)
	dst = appendHex(dst, s.TraceID[:])
	dst = append(dst, '-')
	dst = appendHex(dst, s.Client[:])
	if s.Sampled {
		return append(dst, "-01"...)
	}
	return append(dst, "-00"...)
}

// ParentHeader is AppendParent as text.
func (s *Span) ParentHeader() string {
	return string(s.AppendParent(make([]byte, 0, traceParentBytes)))
}

// AppendID appends the trace's id.
func (s *Span) AppendID(dst []byte) []byte { return appendHex(dst, s.TraceID[:]) }

func appendHex(dst, src []byte) []byte {
	const digits = "0123456789abcdef"
	for _, b := range src {
		dst = append(dst, digits[b>>4], digits[b&15])
	}
	return dst
}
