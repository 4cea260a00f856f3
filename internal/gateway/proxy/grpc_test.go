// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"net/http"
	"testing"
	"time"
)

func TestTheTimeOfACall(t *testing.T) { // G3
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"1H": time.Hour, "2M": 2 * time.Minute, "3S": 3 * time.Second, "4m": 4 * time.Millisecond, "5u": 5 * time.Microsecond,
		"6n": 6, "0S": 0, "99999999S": 99999999 * time.Second, "99999999H": 1<<63 - 1 - callGrace,
	} {
		if d, ok := callTimeout(text); !ok || d != want {
			t.Errorf("%s: %v %v", text, d, ok)
		}
	}
	for _, text := range []string{"", "S", "1", "1s", "-1S", "+1S", " 1S", "1.5S", "123456789S", "1_0S", "0x1S"} {
		if d, ok := callTimeout(text); ok {
			t.Errorf("%q: %v", text, d)
		}
	}
}

func TestTheSoonerOfTwoEndsOfACall(t *testing.T) { // G3
	t.Parallel()
	now := time.Now()
	call := &http.Request{Header: http.Header{"Content-Type": {"application/grpc+proto"}, "Grpc-Timeout": {"2S"}}}
	ends := now.Add(2*time.Second + callGrace)
	for _, c := range []struct {
		deadline, want time.Time
		header         http.Header
	}{
		{time.Time{}, ends, call.Header},
		{now.Add(time.Hour), ends, call.Header},
		{now.Add(time.Second), now.Add(time.Second), call.Header},
		{time.Time{}, time.Time{}, http.Header{"Content-Type": {"text/plain"}, "Grpc-Timeout": {"2S"}}},
		{time.Time{}, time.Time{}, http.Header{"Content-Type": {"application/grpc"}}},
		{time.Time{}, time.Time{}, http.Header{"Content-Type": {"application/grpc"}, "Grpc-Timeout": {"x"}}},
		{time.Time{}, now.AddDate(290, 0, 0), http.Header{"Content-Type": {"application/grpc"}, "Grpc-Timeout": {"99999999H"}}},
	} {
		got := sooner(c.deadline, callEnd(&http.Request{Header: c.header}, now))
		if far := now.AddDate(200, 0, 0); !got.Equal(c.want) && (!c.want.After(far) || !got.After(c.want)) {
			t.Errorf("%v, want %v", got, c.want)
		}
	}
}
