// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

func init() { forwardHost = "127.0.0.1" }

// reserve gives a port that is free, and keeps others from it until it is released.
func reserve(t *testing.T) (port int, release func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).Port, func() { l.Close() }
}

func forwardsYAML(list ...string) string {
	return "  entryPoints: {passThrough: {forwards: [" + strings.Join(list, ", ") + "]}}\n"
}

func forwardYAML(port int, target string) string {
	return fmt.Sprintf("{protocol: tcp, port: %d, target: %q}", port, strings.TrimPrefix(target, "http://"))
}

func TestForwardsAreServedBesideRoutesAndFollowTheMainFile(t *testing.T) { // G6, D1
	t.Parallel()
	one, two := echo(t, "one"), echo(t, "two")
	port, release := reserve(t)
	at := fmt.Sprintf("127.0.0.1:%d", port)
	path := filepath.Join(t.TempDir(), "goma.yml")

	// The port is taken: that is a problem, and everything else is served.
	write(t, path, mainFile("  monitoring: {enableMetrics: true}\n"+forwardsYAML(forwardYAML(port, one)), routeYAML("a", "/a", two)))
	r := start(t, Options{ConfigFile: path}).waitReady()
	field := "gateway.entryPoints.passThrough.forwards[0].port"
	r.until("the problem of the port", func(a Applied) bool { return concerns(a.Problems, field) })
	r.expect("/a", 200, "two /a")

	release()
	r.until("the port", func(a Applied) bool { return !concerns(a.Problems, field) })
	if status, body := r.ask(at, "/x"); status != 200 || body != "one /x" {
		t.Errorf("%d %q", status, body)
	}

	series := fmt.Sprintf(`gateway_passthrough_connections_total{port="%d",protocol="tcp"} 1`, port)
	if _, body := r.ask(r.at.Admin, "/metrics"); !strings.Contains(body, series) {
		t.Errorf("no %s in %s", series, body)
	}

	// Another target and another route, at once and without a restart.
	r.client.CloseIdleConnections() // the old target keeps its connections
	write(t, path, mainFile(forwardsYAML(forwardYAML(port, two)), routeYAML("b", "/b", two)))
	if a := r.untilRoutes("b"); len(a.Problems) != 0 {
		t.Errorf("problems %v", a.Problems)
	}
	if status, body := r.ask(at, "/x"); status != 200 || body != "two /x" {
		t.Errorf("%d %q", status, body)
	}

	// What cannot be used leaves all as it is.
	write(t, path, mainFile(forwardsYAML(forwardYAML(port, "nowhere")), routeYAML("c", "/c", two)))
	r.until("a problem of the file", func(a Applied) bool { return object(a.Problems, path) != nil })
	r.expect("/b", 200, "two /b")
	if status, _ := r.ask(at, "/x"); status != 200 {
		t.Errorf("status %d", status)
	}

	write(t, path, mainFile("", routeYAML("d", "/d", two)))
	r.untilRoutes("d")
	r.client.CloseIdleConnections()
	if status, body := r.ask(at, "/x"); status != 0 {
		t.Errorf("%d %q from a port that is not forwarded any more", status, body)
	}
}

func concerns(list []config.Problem, field string) bool {
	for _, p := range list {
		if p.Field == field && p.Severity == config.SeverityError {
			return true
		}
	}
	return false
}

func TestADrainLetsForwardedConnectionsEnd(t *testing.T) { // E1
	t.Parallel()
	target, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer target.Close()
	port, release := reserve(t)
	release()
	f := &config.File{}
	f.Gateway.EntryPoints.PassThrough.Forwards = []config.Forward{{Protocol: "tcp", Port: port, Target: target.Addr().String()}}
	r := start(t, Options{File: f, GracePeriod: patience}).waitReady()
	var c net.Conn
	for limit := time.Now().Add(patience); c == nil; { // the port may have to be tried again
		if c, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err != nil && time.Now().After(limit) {
			t.Fatal(err)
		}
	}
	defer c.Close()
	up, err := target.Accept()
	must(t, err)
	defer up.Close()
	r.stop()
	for limit := time.Now().Add(patience); !strings.Contains(r.log.String(), "draining"); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("no drain:\n%s", r.log)
		}
	}
	_, err = c.Write([]byte("the last words"))
	must(t, err)
	b := make([]byte, 14)
	must(t, up.SetReadDeadline(time.Now().Add(patience)))
	if n, err := up.Read(b); err != nil || string(b[:n]) != "the last words" {
		t.Errorf("%q, %v", b[:n], err)
	}
	select {
	case <-r.done:
		t.Error("the gateway has not waited")
	default:
	}
	c.Close()
	up.Close()
	r.end()
	if strings.Contains(r.log.String(), "had not ended") {
		t.Errorf("the log says:\n%s", r.log)
	}
}

// The example of the documentation is one that a gateway takes.
func TestTheExampleOfTheDocumentationIsTaken(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/tcp-udp.md")
	must(t, err)
	_, rest, begins := strings.Cut(string(text), "```yaml\n")
	example, _, ends := strings.Cut(rest, "```\n")
	if !begins || !ends {
		t.Fatal("there is no example")
	}
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, path, "version: 2\n"+example+"  routes: []\n")
	f, problems, err := LoadFile(path, true)
	if err != nil || len(problems) > 0 || len(f.Gateway.EntryPoints.PassThrough.Forwards) != 3 {
		t.Errorf("%v, %v", problems, err)
	}
}
