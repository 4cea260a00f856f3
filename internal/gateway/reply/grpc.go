// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package reply

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// The gRPC status codes that an HTTP status stands for, by gRPC's own mapping
// (doc/http-grpc-status-mapping.md), with 429 and 504 as clients expect them.
var grpcCodes = map[int]int{
	http.StatusBadRequest:          13, // INTERNAL
	http.StatusUnauthorized:        16, // UNAUTHENTICATED
	http.StatusForbidden:           7,  // PERMISSION_DENIED
	http.StatusNotFound:            12, // UNIMPLEMENTED
	http.StatusTooManyRequests:     8,  // RESOURCE_EXHAUSTED
	http.StatusInternalServerError: 13, // INTERNAL
	http.StatusBadGateway:          14, // UNAVAILABLE
	http.StatusServiceUnavailable:  14, // UNAVAILABLE
	http.StatusGatewayTimeout:      4,  // DEADLINE_EXCEEDED
}

const grpcUnknown = 2

// isGRPC tells gRPC from gRPC-Web, whose clients read HTTP statuses.
func isGRPC(r *http.Request) bool {
	ct := r.Header.Get("Content-Type")
	return ct == "application/grpc" || strings.HasPrefix(ct, "application/grpc+") || strings.HasPrefix(ct, "application/grpc;")
}

// grpcStatus answers in the trailers-only form: HTTP 200, and the status in the
// head.
func grpcStatus(w http.ResponseWriter, status int, message string) {
	code, ok := grpcCodes[status]
	if !ok {
		code = grpcUnknown
	}
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", strconv.Itoa(code))
	h.Set("Grpc-Message", percentEncode(message))
	h.Del("Content-Length")
	w.WriteHeader(http.StatusOK)
}

// percentEncode keeps printable ASCII but the percent sign, as gRPC asks.
func percentEncode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
