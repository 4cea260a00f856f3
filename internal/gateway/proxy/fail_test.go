// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"
)

func TestEachErrorHasItsStatusAndReason(t *testing.T) { // U4, H11
	t.Parallel()
	left, leave := context.WithCancel(context.Background())
	leave()
	late, end := context.WithTimeout(context.Background(), 0)
	defer end()
	present := context.Background()
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, c := range []struct {
		name   string
		ctx    context.Context
		err    error
		status int
		reason string
	}{
		{"no endpoint", present, upstream.ErrNoEndpoint, 503, "no_endpoint"},
		{"no connection free", present, fmt.Errorf("x: %w", upstream.ErrBusy), 503, "upstream_busy"},
		{"connection refused", present, refused, 502, "upstream_error"},
		{"an address that is not allowed", present, &net.OpError{Op: "dial", Err: upstream.ErrForbidden}, 502, "upstream_forbidden"},
		{"dialling takes too long", present, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, 504, "upstream_timeout"},
		{"a name that does not exist", present, &net.DNSError{IsNotFound: true}, 502, "upstream_error"},
		{"a name server that does not answer", present, &net.OpError{Op: "dial", Err: &net.DNSError{IsTimeout: true}}, 502, "upstream_error"},
		{"the end of the connection", present, io.ErrUnexpectedEOF, 502, "upstream_error"},
		{"the client left", left, context.Canceled, 499, "client_closed"},
		{"the client left while the backend failed", left, refused, 499, "client_closed"},
		{"the request had a time limit", late, context.DeadlineExceeded, 504, "upstream_timeout"},
		{"a body beyond its limit", present, &errBody{&http.MaxBytesError{Limit: 1}}, 413, "body_too_large"},
		{"a body that stalls", present, &errBody{os.ErrDeadlineExceeded}, 408, "body_timeout"},
		{"a body that breaks off", present, &errBody{io.ErrUnexpectedEOF}, 499, "client_closed"},
		{"a body whose connection breaks", present, &errBody{&net.OpError{Op: "read", Err: syscall.ECONNRESET}}, 499, "client_closed"},
		{"a body that is malformed", present, &errBody{errors.New("invalid byte in chunk length")}, 400, "body_malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, x := httptest.NewRecorder(), &exchange.Exchange{}
			fail(w, httptest.NewRequest(http.MethodGet, "/", nil).WithContext(c.ctx), x, c.err)
			if w.Code != c.status || x.Reason != c.reason {
				t.Errorf("%d %s", w.Code, x.Reason)
			}
			if got := w.Body.String(); !strings.HasPrefix(got, fmt.Sprint(c.status)) || strings.Contains(got, c.err.Error()) {
				t.Errorf("the client is told %q", got)
			}
			if (w.Header().Get("Retry-After") != "") != (c.status == 503) {
				t.Errorf("headers %v", w.Header())
			}
		})
	}
}

func TestAGRPCClientIsToldInItsOwnWay(t *testing.T) { // G3
	t.Parallel()
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/svc/Method", nil)
	r.Header.Set("Content-Type", "application/grpc")
	fail(w, r, &exchange.Exchange{}, upstream.ErrNoEndpoint)
	if w.Code != http.StatusOK || w.Header().Get("Grpc-Status") != "14" || w.Body.Len() != 0 {
		t.Error(w.Code, w.Header(), w.Body)
	}
}
