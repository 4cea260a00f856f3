// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"log/slog"
	"net/http"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// refusal answers a request that is not served. The reason is for the log.
type refusal struct {
	status          int
	reason, message string
	allow           string
}

var (
	refuseConnect = &refusal{
		status: http.StatusMethodNotAllowed, reason: "connect", message: "405 CONNECT method not allowed", allow: methods,
	}
	refuseHost   = &refusal{status: http.StatusBadRequest, reason: "bad_host", message: "400 bad request: invalid host"}
	refusePath   = &refusal{status: http.StatusBadRequest, reason: "bad_path", message: "400 bad request: invalid path"}
	refuseTarget = &refusal{status: http.StatusRequestURITooLong, reason: "long_target", message: "414 URI too long"}
	refuseFields = &refusal{
		status: http.StatusRequestHeaderFieldsTooLarge, reason: "many_fields", message: "431 too many request header fields",
	}
	refuseMisdirected = &refusal{
		status: http.StatusMisdirectedRequest, reason: "misdirected", message: "421 misdirected request: the connection was made for another host",
	}
	refuseHeads = &refusal{
		status: http.StatusRequestHeaderFieldsTooLarge, reason: "header_memory", message: "431 the open requests of the connection have too many header bytes",
	}
	refuseLength = &refusal{status: http.StatusBadRequest, reason: "bad_length", message: "400 bad request: the body is not as long as it says"}

	answerOptions = &refusal{status: http.StatusNoContent, reason: "options", allow: methods}
)

const methods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

// ServeHTTP answers. The connection ends where it carries nothing else: what the
// client meant by the rest of it is as unclear. H4
func (n *refusal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	exchange.Of(r).Reason = n.reason
	if n.allow != "" {
		w.Header().Set("Allow", n.allow)
	}
	if n.status < http.StatusBadRequest {
		w.WriteHeader(n.status)
		return
	}
	if r.ProtoMajor < 2 {
		w.Header().Set("Connection", "close")
	}
	reply.Error(w, r, n.status, n.message)
}

// unwrapped is a handler that does its own logging.
type unwrapped struct{ http.Handler }

// logRefusals stands in for Options.Wrap.
func logRefusals(log *slog.Logger) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if own, ok := next.(unwrapped); ok {
			return own.Handler
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			x := exchange.Of(r)
			log.InfoContext(r.Context(), "request refused", "reason", x.Reason, "client_ip", x.ClientIP, "request_id", x.RequestID)
		})
	}
}
