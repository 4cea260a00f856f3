// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"strings"
	"testing"
)

const wrkOutput = `Running 4s test @ http://127.0.0.1:18000/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.61ms    1.02ms  26.95ms   92.02%
    Req/Sec    41.49k     3.15k   46.73k    77.50%
  Latency Distribution
     50%  850.00us
     75%    1.78ms
     90%    2.27ms
     99%    1.20s
  165123 requests in 4.00s, 179.30MB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 7
Requests/sec:  41270.11
Transfer/sec:     44.81MB
`

func TestTheOutputOfWrkIsUnderstood(t *testing.T) {
	t.Parallel()
	want := Sample{Requests: 165123, RPS: 41270.11, P50: 0.85, P99: 1200, Errors: 17}
	if got := parseWrk(wrkOutput); got != want {
		t.Errorf("%+v instead of %+v", got, want)
	}
}

const h2loadOutput = `finished in 2.00s, 33260.50 req/s, 34.68MB/s
requests: 66521 total, 66585 started, 66521 done, 66521 succeeded, 4 failed, 3 errored, 2 timeout
status codes: 66500 2xx, 0 3xx, 20 4xx, 1 5xx
traffic: 69.36MB (72725760) total, 1.02MB (1064336) headers (space savings 88.24%), 64.96MB (68117504) data
`

func TestTheOutputOfH2loadIsUnderstood(t *testing.T) {
	t.Parallel()
	want := Sample{Requests: 66521, RPS: 33260.5, Errors: 26}
	if got := parseH2load(h2loadOutput); got != want {
		t.Errorf("%+v instead of %+v", got, want)
	}
}

func TestPercentilesAreThoseOfTheRequests(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	for i := range 100 {
		log.WriteString("1700000000000000\t200\t" + strings.Repeat("0", i%3) + "1000\n")
	}
	log.WriteString("garbage\n1700000000000000\t200\t9000000\n1700000000000000\t200\t9000000\n")
	if p50, p99 := percentiles(strings.NewReader(log.String())); p50 != 1 || p99 != 9000 {
		t.Errorf("p50 %v ms, p99 %v ms", p50, p99)
	}
	if p50, p99 := percentiles(strings.NewReader("")); p50 != 0 || p99 != 0 {
		t.Errorf("of nothing: %v, %v", p50, p99)
	}
}

func TestTheCountOfSystemCallsIsFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		parse func(string) (float64, error)
		out   string
		want  float64
	}{
		{"perf", parsePerf, "109;;raw_syscalls:sys_enter;936331;100.00;;\n", 109},
		{"strace", parseStrace, "    calls syscall\n--------- ----------------\n     2204 write\n--------- ----------------\n     4408 total\n", 4408},
	} {
		if got, err := c.parse(c.out); got != c.want || err != nil {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
		if got, err := c.parse("perf: permission denied\n"); err == nil {
			t.Errorf("%s: %v is found in a complaint", c.name, got)
		}
	}
	if got, err := parsePerf("<not counted>;;raw_syscalls:sys_enter;0;100.00;;\n"); err == nil {
		t.Errorf("%v calls in what was not counted", got)
	}
}

func TestANameWithBracketsDoesNotShiftTheFieldsOfAProcess(t *testing.T) {
	t.Parallel()
	fields := statFields("42 (a) b (c)) S 7 42 42 0 -1 4194304 1 2 3 4 55 66 77 88 20 0 1 0 100 200 300 0 0")
	if fields == nil || fields[0] != "S" || fields[1] != "7" || fields[14-3] != "55" || fields[24-3] != "300" {
		t.Errorf("%q", fields)
	}
	if fields := statFields("42 (gone"); fields != nil {
		t.Errorf("%q from half a line", fields)
	}
}
