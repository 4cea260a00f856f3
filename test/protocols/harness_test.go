// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

// Package protocols has clients and backends that are not of the project speak with
// the gateway's program: h2spec, gRPC, WebSocket, curl, nghttp and h2load (Debian:
// curl, nghttp2-client), and backends that compare every byte.
package protocols

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/test/peers/program"
)

// binary is the built gateway.
var binary string

func TestMain(m *testing.M) { os.Exit(program.Main(m, "goma-gateway", &binary)) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// routed is a main file with routes and middlewares, each of them a line.
func routed(routes, middlewares string) string {
	return fmt.Sprintf("version: 2\ngateway:\n  log: {level: info}\n%s%s  routes:\n%smiddlewares:\n%s",
		program.Listen, program.Reload, listed("    ", routes), listed("  ", middlewares))
}

func listed(indent, text string) (list string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			list += indent + "- " + line + "\n"
		}
	}
	return list
}

// serve starts a gateway with routes, and without middlewares.
func serve(t testing.TB, routes string) *program.Gateway {
	t.Helper()
	return program.Serve(t, binary, routed(routes, ""))
}

// to is a route that takes everything to a backend.
func to(target string) string { return fmt.Sprintf("{name: all, path: /, target: %q}", target) }

// backend starts a server of HTTP/1.1.
func backend(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// tried lets a client believe in whatever certificate the gateway has.
func tried(protocols ...string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: protocols, ServerName: "any.example.org"} //nolint:gosec // it is the test's own
}

// tool runs a command, which must end with 0, and gives its output.
func tool(t testing.TB, input io.Reader, name string, args ...string) string {
	t.Helper()
	out, err := attempt(t, input, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func attempt(t testing.TB, input io.Reader, name string, args ...string) (out string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*program.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var b bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, &b, &b
	err = cmd.Run()
	return b.String(), err
}
