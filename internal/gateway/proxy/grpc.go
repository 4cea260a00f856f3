// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// callGrace is how much later than asked for a call of gRPC ends here: client and
// backend know of the time too, and their own word for it is the better one.
const callGrace = 500 * time.Millisecond

// callEnd is when a call of gRPC has to have ended, by its grpc-timeout; zero is never.
func callEnd(r *http.Request, now time.Time) time.Time {
	if len(r.Header["Grpc-Timeout"]) != 1 || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		return time.Time{}
	}
	d, ok := callTimeout(r.Header["Grpc-Timeout"][0])
	if !ok {
		return time.Time{}
	}
	return now.Add(d)
}

// sooner gives the deadline of a request that is to end, or of the call that it is.
func sooner(deadline, call time.Time) time.Time {
	if call.IsZero() {
		return deadline
	}
	if call = call.Add(callGrace); deadline.IsZero() || call.Before(deadline) {
		return call
	}
	return deadline
}

// overdue gives the error of a call: a backend that knows of its time may end it
// without a word. G3
func overdue(err error, call time.Time) error {
	if err == nil || call.IsZero() || time.Now().Before(call) {
		return err
	}
	return errors.Join(context.DeadlineExceeded, err)
}

// callTimeout reads up to eight digits and a unit, by gRPC's own specification
// (doc/PROTOCOL-HTTP2.md). What is none is left to the backend.
func callTimeout(s string) (d time.Duration, ok bool) {
	if len(s) < 2 || len(s) > 9 {
		return 0, false
	}
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	if err != nil {
		return 0, false
	}
	var unit time.Duration
	switch s[len(s)-1] {
	case 'H':
		unit = time.Hour
	case 'M':
		unit = time.Minute
	case 'S':
		unit = time.Second
	case 'm':
		unit = time.Millisecond
	case 'u':
		unit = time.Microsecond
	case 'n':
		unit = time.Nanosecond
	default:
		return 0, false
	}
	const longest = 1<<63 - 1 - callGrace
	if n > uint64(longest/unit) { // 99999999 hours
		return longest, true
	}
	return time.Duration(n) * unit, true //nolint:gosec // seen above
}
