// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http1

import "net/http"

// Error is what is wrong with a message. It carries the status that a server
// answers a request with; for a response any of them is a bad gateway.
type Error struct {
	Status int
	reason string
}

func (e *Error) Error() string { return e.reason }

func bad(reason string) *Error { return &Error{http.StatusBadRequest, reason} }

// What a peer can do wrong. None of these texts holds anything that it sent.
var (
	ErrRequestLine   = bad("malformed request line")
	ErrStatusLine    = bad("malformed status line")
	ErrLineEnd       = bad("a line of the head does not end in CRLF")
	ErrFieldName     = bad("malformed field name")
	ErrFieldValue    = bad("control character in a field value")
	ErrFolded        = bad("folded field line")
	ErrHostMissing   = bad("no Host field")
	ErrHostRepeated  = bad("more than one Host field")
	ErrLength        = bad("malformed or repeated Content-Length")
	ErrLengthChunked = bad("both Content-Length and Transfer-Encoding")
	ErrChunkedOld    = bad("Transfer-Encoding in an HTTP/1.0 message")
	ErrCodings       = bad("malformed or repeated Transfer-Encoding")
	ErrCoding        = &Error{http.StatusNotImplemented, "transfer coding beside chunked"}
	ErrChunk         = bad("malformed chunk")
	ErrTrailer       = bad("malformed trailer")
	ErrExpect        = &Error{http.StatusExpectationFailed, "unknown expectation"}
	ErrVersion       = &Error{http.StatusHTTPVersionNotSupported, "HTTP version other than 1.0 and 1.1"}
	ErrLineTooLong   = &Error{http.StatusRequestURITooLong, "request line too long"}
	ErrHeadTooLarge  = &Error{http.StatusRequestHeaderFieldsTooLarge, "head too large"}
	ErrTooManyFields = &Error{http.StatusRequestHeaderFieldsTooLarge, "too many fields"}
	ErrHeadTimeout   = &Error{http.StatusRequestTimeout, "the head did not arrive in time"}
	ErrTrailerLarge  = &Error{http.StatusRequestHeaderFieldsTooLarge, "trailers too large"}
	ErrChunkOverhead = &Error{http.StatusRequestEntityTooLarge, "too much chunk framing for the data that it carries"}
)
