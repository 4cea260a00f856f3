// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Sample is what one target did in one round.
type Sample struct {
	Requests float64 `json:"requests"`
	RPS      float64 `json:"rps"`
	// CPU is user and system time of the proxy in microseconds per request, System
	// the second part of it.
	CPU    float64 `json:"cpu_us"`
	System float64 `json:"system_us"`
	// P50 and P99 are in milliseconds, as clients see them.
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	// Busy is how many CPUs the proxy used.
	Busy float64 `json:"busy"`
	// Resident is the memory at the end, in MiB.
	Resident float64 `json:"resident_mib"`
	// Syscalls are those per request, where they were counted.
	Syscalls float64 `json:"syscalls,omitempty"`
	// Errors are answers other than 2xx and 3xx, and requests without one.
	Errors int `json:"errors"`
}

// measure puts one target under full load.
func (b *bench) measure(ctx context.Context, t *instance, s *Scenario, d time.Duration) (Sample, error) {
	command, err := b.command(t, s, d)
	if err != nil {
		return Sample{}, err
	}
	before, began := cpu(tree(t.process.pid())), time.Now()
	out, err := b.generate(ctx, command)
	if err != nil {
		return Sample{}, err
	}
	wall := time.Since(began).Seconds()
	pids := tree(t.process.pid())
	used := cpu(pids).minus(before)
	t.process.forget()

	sample, err := b.parse(s, out)
	if err != nil {
		return Sample{}, err
	}
	sample.CPU, sample.System = used.total()/sample.Requests*1e6, used.system/sample.Requests*1e6
	sample.Busy, sample.Resident = used.total()/wall, resident(pids)
	return sample, nil
}

// generate runs a load generator to its end.
func (b *bench) generate(ctx context.Context, command []string) (string, error) {
	if b.loadCPUs != "" {
		command = append([]string{"taskset", "-c", b.loadCPUs}, command...)
	}
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", command[0], err, out)
	}
	return string(out), nil
}

// command is the load generator of a scenario.
func (b *bench) command(t *instance, s *Scenario, d time.Duration) ([]string, error) {
	scheme, host, port := "http", "127.0.0.1", t.settings.Port
	if s.TLS {
		scheme, host, port = "https", "localhost", t.settings.TLSPort // a name, so that SNI has one
	}
	url := fmt.Sprintf("%s://%s:%d%s", scheme, host, port, s.Path)
	seconds := strconv.Itoa(max(1, int(d.Seconds())))
	if s.Client == "h2load" {
		const streams = 8
		return []string{"h2load", "-t", "1", "-c", strconv.Itoa(max(s.Conns/streams, 1)), "-m", strconv.Itoa(streams),
			"-D", seconds, "--log-file", b.requestLog(), url}, b.clearRequestLog()
	}
	command := []string{"wrk", "-t", "1", "-c", strconv.Itoa(s.Conns), "-d", seconds + "s", "--latency", "--timeout", "10s"}
	for name, value := range t.headers() {
		command = append(command, "-H", name+": "+value)
	}
	if script := wrkScript(s); script != "" {
		name := filepath.Join(b.dir, s.Name+".lua")
		if err := os.WriteFile(name, []byte(script), 0o644); err != nil {
			return nil, err
		}
		command = append(command, "-s", name)
	}
	return append(command, url), nil
}

// wrkScript makes wrk send bodies, or ask for all routes in turn by chance.
func wrkScript(s *Scenario) string {
	switch {
	case s.Body > 0:
		return fmt.Sprintf("wrk.method = 'POST'\nwrk.body = string.rep('y', %d)\n", s.Body)
	case s.Kind == "host":
		return routesScript(s.Routes, `"/item", string.format("h%05d.example.test", i)`)
	case s.Kind == "path":
		return routesScript(s.Routes, `string.format("/svc%05d/item", i), "localhost"`)
	}
	return ""
}

func routesScript(n int, pathAndHost string) string {
	return fmt.Sprintf(`local requests = {}
local function get(path, host) return "GET " .. path .. " HTTP/1.1\r\nHost: " .. host .. "\r\n\r\n" end
function init(args)
  for i = 0, %d do requests[i + 1] = get(%s) end
end
function request() return requests[math.random(%d)] end
`, n-1, pathAndHost, n)
}

// requestLog is where h2load writes a line for each request.
func (b *bench) requestLog() string { return filepath.Join(b.dir, "requests.log") }

func (b *bench) clearRequestLog() error {
	if err := os.Remove(b.requestLog()); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (b *bench) parse(s *Scenario, out string) (sample Sample, err error) {
	if s.Client == "h2load" {
		sample = parseH2load(out)
		f, err := os.Open(b.requestLog())
		if err != nil {
			return sample, err
		}
		defer f.Close()
		sample.P50, sample.P99 = percentiles(f)
	} else {
		sample = parseWrk(out)
	}
	if sample.Requests == 0 {
		return sample, fmt.Errorf("no request succeeded:\n%s", out)
	}
	return sample, nil
}

var (
	wrkTotal      = regexp.MustCompile(`(\d+) requests in`)
	wrkRate       = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)
	wrkPercentile = regexp.MustCompile(`(?m)^\s+(50|99)%\s+([\d.]+)(us|ms|s|m)`)
	wrkSocket     = regexp.MustCompile(`Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
	wrkStatus     = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
	h2Rate        = regexp.MustCompile(`([\d.]+) req/s`)
	h2Done        = regexp.MustCompile(`(\d+) succeeded`)
	h2Failed      = regexp.MustCompile(`(\d+) failed, (\d+) errored, (\d+) timeout`)
	h2Status      = regexp.MustCompile(`2xx, \d+ 3xx, (\d+) 4xx, (\d+) 5xx`)
)

// sum adds up the groups of a pattern's first match, or gives 0.
func sum(pattern *regexp.Regexp, text string) (total float64) {
	match := pattern.FindStringSubmatch(text)
	for _, group := range match[min(1, len(match)):] {
		n, _ := strconv.ParseFloat(group, 64)
		total += n
	}
	return total
}

func parseWrk(out string) Sample {
	s := Sample{
		Requests: sum(wrkTotal, out), RPS: sum(wrkRate, out), Errors: int(sum(wrkSocket, out) + sum(wrkStatus, out)),
	}
	unit := map[string]float64{"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}
	for _, m := range wrkPercentile.FindAllStringSubmatch(out, -1) {
		n, _ := strconv.ParseFloat(m[2], 64)
		if m[1] == "50" {
			s.P50 = n * unit[m[3]]
		} else {
			s.P99 = n * unit[m[3]]
		}
	}
	return s
}

// parseH2load reads the summary. What had not ended when the time was up is
// counted as failed by some versions and is no error of the proxy, hence errored
// and timed out ones only.
func parseH2load(out string) Sample {
	s := Sample{Requests: sum(h2Done, out), RPS: sum(h2Rate, out)}
	if m := h2Failed.FindStringSubmatch(out); m != nil {
		for _, group := range m[2:] {
			n, _ := strconv.Atoi(group)
			s.Errors += n
		}
	}
	s.Errors += int(sum(h2Status, out))
	return s
}

// percentiles reads a log of h2load: start, status, microseconds. They are in
// milliseconds.
func percentiles(log io.Reader) (p50, p99 float64) {
	var micros []float64
	for lines := bufio.NewScanner(log); lines.Scan(); {
		if columns := strings.Split(lines.Text(), "\t"); len(columns) >= 3 {
			if n, err := strconv.ParseFloat(columns[2], 64); err == nil {
				micros = append(micros, n)
			}
		}
	}
	if len(micros) == 0 {
		return 0, 0
	}
	slices.Sort(micros)
	return micros[len(micros)/2] / 1e3, micros[len(micros)*99/100] / 1e3
}
