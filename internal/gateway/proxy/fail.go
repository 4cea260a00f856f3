// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// statusClientClosed is what nginx made usual for a client that went away before
// it was answered; nobody receives it, the log has it.
const statusClientClosed = 499

var errTooMany = errors.New("too many informational responses")

// fail answers for a backend that did not.
func fail(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, err error) {
	status, reason, message := classify(r, err)
	x.Reason = reason
	reply.Error(w, r, status, message)
}

// classify gives the status for an error of a round trip, a word for the log and
// the text for the client, which tells nothing of the network behind the gateway.
func classify(r *http.Request, err error) (status int, reason, message string) {
	var body *errBody
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, "body_too_large", "413 request entity too large"
	case r.Context().Err() != nil && !errors.Is(context.Cause(r.Context()), context.DeadlineExceeded):
		return statusClientClosed, "client_closed", "499 client closed request"
	case errors.As(err, &body) && errors.Is(err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout, "body_timeout", "408 request timeout"
	case errors.As(err, &body):
		return http.StatusBadRequest, "body_malformed", "400 bad request"
	case timedOut(err):
		return http.StatusGatewayTimeout, "upstream_timeout", "504 gateway timeout"
	}
	return http.StatusBadGateway, "upstream_error", "502 bad gateway"
}

func timedOut(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}
