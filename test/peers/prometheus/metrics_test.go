// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

// Package prometheus has the metrics of a gateway read by Prometheus' own tool. It
// needs the command promtool (Debian: prometheus); the server is not started.
package prometheus

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway"
)

const patience = 30 * time.Second

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serve runs a gateway with two routes until the test ends.
func serve(t *testing.T, change func(*config.Gateway)) gateway.Addresses {
	t.Helper()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }))
	t.Cleanup(backend.Close)
	ctx, stop := context.WithCancel(context.Background())
	ready, done := make(chan gateway.Addresses, 1), make(chan error, 1)
	file := &config.File{Gateway: config.Gateway{
		Monitoring: config.Monitoring{EnableMetrics: true},
		Routes: []config.Route{
			{Name: "shop \"quoted\"", Path: "/shop", Target: backend.URL, HealthCheck: &config.HealthCheck{Path: "/"}},
			{Name: "away", Path: "/away", Target: "http://127.0.0.1:1"},
		},
	}}
	if change != nil {
		change(&file.Gateway)
	}
	go func() {
		done <- gateway.Run(ctx, gateway.Options{
			File: file, Web: "127.0.0.1:0", WebSecure: "127.0.0.1:0", Admin: "127.0.0.1:0", LogWriter: io.Discard,
			Ready: func(a gateway.Addresses) { ready <- a },
		})
	}()
	t.Cleanup(func() {
		stop()
		must(t, <-done)
	})
	select {
	case a := <-ready:
		return a
	case <-time.After(patience):
		t.Fatal("the gateway is not ready")
	}
	return gateway.Addresses{}
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url) //nolint:noctx // a test
	must(t, err)
	defer resp.Body.Close() //nolint:errcheck // a test
	data, err := io.ReadAll(resp.Body)
	must(t, err)
	return string(data)
}

// The names are part of the format that dashboards are made for, so what promtool
// says about how they are chosen is known.
var known = []string{
	`gateway_routes_count non-histogram and non-summary metrics should not have "_count" suffix`,
	`gateway_middlewares_count non-histogram and non-summary metrics should not have "_count" suffix`,
	`gateway_realtime_visitors_count non-histogram and non-summary metrics should not have "_count" suffix`,
}

func TestPromtoolTakesTheMetrics(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("there is no promtool; install the Debian package prometheus")
	}
	at := serve(t, nil)
	for _, path := range []string{"/shop/x", "/away", "/none"} {
		get(t, "http://"+at.Web+path)
	}
	text := get(t, "http://"+at.Admin+"/metrics")
	for _, want := range []string{"gateway_requests_total{", "gateway_upstream_duration_seconds_bucket{", "gateway_endpoint_healthy{"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	check := exec.CommandContext(ctx, promtool, "check", "metrics")
	check.Stdin = strings.NewReader(text)
	var out bytes.Buffer
	check.Stdout, check.Stderr = &out, &out
	err = check.Run()
	if err != nil && check.ProcessState.ExitCode() != 3 { // 3 is for remarks on style
		t.Fatalf("%v\n%s", err, out.String())
	}
	for line := range strings.Lines(out.String()) {
		remark := strings.TrimSpace(line)
		expected := false
		for _, k := range known {
			expected = expected || strings.HasPrefix(remark, k)
		}
		if remark != "" && !expected {
			t.Errorf("promtool: %s", remark)
		}
	}
}
