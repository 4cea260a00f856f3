// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/http1"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"
)

// statusClientClosed is what nginx made usual for a client that went away before
// it was answered; nobody receives it, the log has it.
const statusClientClosed = 499

const (
	errTooMany     = proxyError("the backend sent too many informational responses")
	errNoStatus    = proxyError("the backend sent a status that is none")
	errUnsolicited = proxyError("the backend switched to a protocol that was not asked for")
)

type proxyError string

func (e proxyError) Error() string { return string(e) }

// fail answers for a backend that did not.
func fail(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, err error) {
	f := classify(r, err)
	x.Reason = f.reason
	if f.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	reply.Error(w, r, f.status, f.message)
}

// failure is the status for an error, a word for the log and the text for the
// client, which tells nothing of the network behind the gateway.
type failure struct {
	status          int
	reason, message string
}

var (
	failNone      = failure{http.StatusServiceUnavailable, "no_endpoint", "503 service unavailable"}
	failBusy      = failure{http.StatusServiceUnavailable, "upstream_busy", "503 service unavailable"}
	failTooLarge  = failure{http.StatusRequestEntityTooLarge, "body_too_large", "413 request entity too large"}
	failGone      = failure{statusClientClosed, reasonClientGone, "499 client closed request"}
	failSlow      = failure{http.StatusRequestTimeout, "body_timeout", "408 request timeout"}
	failMalformed = failure{http.StatusBadRequest, "body_malformed", "400 bad request"}
	failTimeout   = failure{http.StatusGatewayTimeout, "upstream_timeout", "504 gateway timeout"}
	failForbidden = failure{http.StatusBadGateway, "upstream_forbidden", "502 bad gateway"}
	failLoop      = failure{http.StatusLoopDetected, "loop", "508 loop detected"}
	failBad       = failure{http.StatusBadGateway, "upstream_error", "502 bad gateway"}
)

// The reasons for an answer that was begun and broke off.
const (
	reasonClientGone = "client_closed"
	reasonAborted    = "upstream_aborted"
)

func classify(r *http.Request, err error) failure {
	var body *errBody
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, upstream.ErrNoEndpoint):
		return failNone
	case errors.As(err, &tooLarge):
		return failTooLarge
	case gone(r):
		return failGone
	case errors.As(err, &body):
		return classifyBody(body.err)
	case errors.Is(err, upstream.ErrBusy):
		return failBusy
	case errors.Is(err, upstream.ErrForbidden):
		return failForbidden
	case errors.Is(err, errLoop):
		return failLoop
	case timedOut(err):
		return failTimeout
	}
	return failBad
}

// classifyBody is for a body that did not arrive whole.
func classifyBody(err error) failure {
	var network *net.OpError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return failSlow
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &network):
		return failGone
	}
	if fault, ok := errors.AsType[*http1.Error](err); ok {
		status := strconv.Itoa(fault.Status) + " " + strings.ToLower(http.StatusText(fault.Status))
		return failure{fault.Status, failMalformed.reason, status}
	}
	return failMalformed
}

// gone tells whether the client has left. A time limit of the request ends it too,
// and is no departure.
func gone(r *http.Request) bool {
	cause := context.Cause(r.Context())
	return cause != nil && !errors.Is(cause, context.DeadlineExceeded)
}

// timedOut leaves out names that could not be resolved in time: a backend that
// nobody has found has not been slow.
func timedOut(err error) bool {
	var timeout net.Error
	var name *net.DNSError
	if errors.As(err, &name) {
		return false
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}
