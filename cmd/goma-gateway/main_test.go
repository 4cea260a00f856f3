// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the program, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(withBinary(m)) }

func withBinary(m *testing.M) int {
	dir, err := os.MkdirTemp("", "goma-gateway-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a test
	binary = filepath.Join(dir, "goma-gateway")
	build := exec.Command("go", "build", "-o", binary, ".") //nolint:noctx // ends by itself
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return 1
	}
	return m.Run()
}

const patience = 60 * time.Second

// process is a gateway in its own process.
type process struct {
	t          *testing.T
	cmd        *exec.Cmd
	web, admin string
	client     *http.Client

	mu     sync.Mutex
	log    bytes.Buffer
	exited chan error
}

var readyLine = regexp.MustCompile(`msg=ready web=(\S+) web_secure=\S+ admin=(\S+)`)

// launch starts the binary and waits until it is ready.
func launch(t *testing.T, file string, env ...string) *process {
	t.Helper()
	p := &process{t: t, exited: make(chan error, 1), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	p.cmd = exec.Command(binary, "server", "--config", file) //nolint:noctx // ended below
	p.cmd.Env = append(os.Environ(), env...)
	out, err := p.cmd.StdoutPipe()
	must(t, err)
	p.cmd.Stderr = p.cmd.Stdout
	must(t, p.cmd.Start())
	ready := make(chan []string, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.mu.Lock()
			p.log.WriteString(lines.Text() + "\n")
			p.mu.Unlock()
			if m := readyLine.FindStringSubmatch(lines.Text()); m != nil {
				ready <- m
			}
		}
		p.exited <- p.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		p.client.CloseIdleConnections()
	})
	select {
	case m := <-ready:
		p.web, p.admin = m[1], m[2]
	case err := <-p.exited:
		t.Fatalf("the process ended with %v:\n%s", err, p.text())
	case <-time.After(patience):
		t.Fatalf("not ready:\n%s", p.text())
	}
	return p
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// wait gives the exit code.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case err := <-p.exited:
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return exit.ExitCode()
		}
		return 0
	case <-time.After(patience):
		p.t.Fatalf("the process does not end:\n%s", p.text())
		return -1
	}
}

// get gives status 0 and the error for a request that failed.
func (p *process) get(address, path string) (status int, body string) {
	resp, err := p.client.Get("http://" + address + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close() //nolint:errcheck // a test
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(data)
}

// until repeats a request until it is answered so. It is for changes that
// nobody announces on a socket.
func (p *process) until(path string, status int, body string) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		s, b := p.get(p.web, path)
		if s == status && strings.Contains(b, body) {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("GET %s is still %d %q:\n%s", path, s, b, p.text())
		}
		time.Sleep(time.Millisecond)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write replaces a file at once.
func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o750))
	must(t, os.WriteFile(path+".tmp", []byte(text), 0o600))
	must(t, os.Rename(path+".tmp", path))
}

const listeners = `version: 2
gateway:
  entryPoints: {web: {address: "127.0.0.1:0"}, webSecure: {address: "127.0.0.1:0"}, admin: {address: "127.0.0.1:0"}}
`

// watched is a main file with a directory of routes.
func watched(t *testing.T) (file, dir string) {
	t.Helper()
	dir = t.TempDir()
	file = filepath.Join(t.TempDir(), "goma.yml")
	write(t, file, listeners+fmt.Sprintf("  providers: {file: {enabled: true, directory: %q, watch: true}}\n  routes: []\n", dir))
	return file, dir
}

func routes(list ...string) string { return "routes:\n" + strings.Join(list, "") }

func routeOf(name, path, target string) string {
	return fmt.Sprintf("- {name: %s, path: %q, target: %q}\n", name, path, target)
}

func TestReloadsUnderLoadLoseNothing(t *testing.T) { // D1: 1,000 reloads, every third invalid
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) }))
	defer backend.Close()
	file, dir := watched(t)
	steady := routeOf("steady", "/steady", backend.URL)
	at := filepath.Join(dir, "routes.yaml")
	write(t, at, routes(steady))
	p := launch(t, file)
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if s, b := p.get(p.web, "/steady"); s != 200 || b != "/steady" {
					t.Errorf("%d %s", s, b)
					return
				}
			}
		})
	}
	for i := 1; i <= 1000; i++ {
		name := fmt.Sprint("/extra", i)
		switch i % 6 {
		case 0: // the whole file is broken: its last good content stays
			write(t, at, "routes: [")
		case 3: // one object is broken: the others are live
			write(t, at, routes(steady, routeOf("bad", "/x/{y}z", backend.URL), routeOf("extra", name, backend.URL)))
			p.until(name, 200, name)
		default:
			write(t, at, routes(steady, routeOf("extra", name, backend.URL)))
			p.until(name, 200, name)
		}
	}
	close(stop)
	clients.Wait()
}

func TestSIGTERMLetsARequestOfTwoSecondsEnd(t *testing.T) { // E1
	t.Parallel()
	entered := make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		time.Sleep(2 * time.Second) // the request of the hazard
		_, _ = io.WriteString(w, "whole")
	}))
	defer backend.Close()
	file, dir := watched(t)
	write(t, filepath.Join(dir, "r.yaml"), routes(routeOf("slow", "/", backend.URL)))
	p := launch(t, file, "GOMA_DRAIN_DELAY=200ms")
	var slow sync.WaitGroup
	slow.Go(func() {
		if s, b := p.get(p.web, "/"); s != 200 || b != "whole" {
			t.Errorf("%d %s", s, b)
		}
	})
	<-entered
	must(t, p.cmd.Process.Signal(syscall.SIGTERM))
	deadline := time.Now().Add(patience)
	for {
		if s, _ := p.get(p.admin, "/readyz"); s == 503 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("still ready")
		}
	}
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.text())
	}
	slow.Wait()
}

func TestASecondSignalEndsAtOnce(t *testing.T) { // E1
	t.Parallel()
	file, _ := watched(t)
	p := launch(t, file, "GOMA_DRAIN_DELAY=1h")
	must(t, p.cmd.Process.Signal(syscall.SIGINT))
	deadline := time.Now().Add(patience)
	for {
		if s, _ := p.get(p.admin, "/readyz"); s == 503 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("still ready")
		}
	}
	must(t, p.cmd.Process.Signal(syscall.SIGTERM))
	if code := p.wait(); code != exitForced {
		t.Errorf("exit code %d", code)
	}
}

// run runs a command that ends by itself.
func run(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	data, err := exec.CommandContext(ctx, binary, args...).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), string(data)
	}
	must(t, err)
	return 0, string(data)
}

func TestAMissingFileEndsTheProcessAndIsNotWritten(t *testing.T) { // C1
	t.Parallel()
	path := filepath.Join(t.TempDir(), "goma.yml")
	for _, args := range [][]string{{"server", "-c", path}, {"--config", path}, {"config", "check", "-c", path}} {
		if code, out := run(t, args...); code != 1 || !strings.Contains(out, path) {
			t.Errorf("%v: %d %s", args, code, out)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a sample was written")
	}
}

func TestConfigInitWritesASampleThatIsGood(t *testing.T) { // C1
	t.Parallel()
	path := filepath.Join(t.TempDir(), "goma.yml")
	if code, out := run(t, "config", "init", "-o", path); code != 0 {
		t.Fatalf("%d %s", code, out)
	}
	if code, out := run(t, "config", "check", "--config", path, "--strict"); code != 0 {
		t.Errorf("the sample is refused: %s", out)
	}
	if code, out := run(t, "config", "init", "--output", path); code != 1 || !strings.Contains(out, "--force") {
		t.Errorf("an existing file: %d %s", code, out)
	}
	if code, _ := run(t, "config", "init", "-o", path, "-f"); code != 0 {
		t.Error("--force does not replace")
	}
	if code, _ := run(t, "config", "init"); code == 0 {
		t.Error("-o is not required")
	}
}

func TestConfigCheckFailsForWhatTheGatewayWouldRefuse(t *testing.T) { // C5
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "more", "b.yaml"), routes(routeOf("other", "/o", "http://b:80")))
	for name, c := range map[string]struct {
		text string
		code int
		want string
	}{
		"a good file":           {"  routes:\n  - {name: a, path: /a, target: \"http://b:80\"}\n", 0, "ok"},
		"a missing middleware":  {"  routes:\n  - {name: a, path: /a, target: \"http://b:80\", middlewares: [nobody]}\n", 1, "middlewares[0]"},
		"two equal routes":      {"  routes:\n  - {name: a, path: /a, target: \"http://b:80\"}\n  - {name: b, path: /a/, target: \"http://b:80\"}\n", 1, "Conflicted"},
		"a path nobody matches": {"  routes:\n  - {name: a, path: \"/x/{y}z\", target: \"http://b:80\"}\n", 1, "path"},
		"a missing CA":          {"  routes:\n  - {name: a, path: /a, target: \"https://b\", security: {tls: {rootCAs: /none/ca.crt}}}\n", 1, "/none/ca.crt"},
		"an unknown type":       {"  routes: []\nmiddlewares:\n- {name: m, type: noSuchType}\n", 1, "noSuchType"},
		"a bad rule":            {"  routes: []\nmiddlewares:\n- {name: m, type: requestHeaders, rule: {setHeaders: [1]}}\n", 1, "setHeaders"},
		"a directory's routes": {fmt.Sprintf("  providers: {file: {enabled: true, directory: %q}}\n  routes:\n  - {name: a, path: /o, target: \"http://b:80\"}\n",
			filepath.Join(dir, "more")), 1, "Conflicted"},
		"a missing directory": {fmt.Sprintf("  providers: {file: {enabled: true, directory: %q}}\n  routes: []\n", filepath.Join(dir, "none")), 1, "none"},
	} {
		path := filepath.Join(t.TempDir(), "goma.yml")
		write(t, path, listeners+c.text)
		if code, out := run(t, "config", "check", "-c", path); code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("%s: %d %s", name, code, out)
		}
	}
}

func TestVersionIsFourLines(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"version"}, {"--version"}} {
		code, out := run(t, args...)
		if code != 0 || strings.Count(out, "\n") != 4 || !strings.Contains(out, "Config version: 2") {
			t.Errorf("%v: %d %q", args, code, out)
		}
	}
}

func TestTheBinaryLinksNothingOfKubernetes(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", ".").Output() //nolint:noctx // ends by itself
	must(t, err)
	for _, p := range strings.Fields(string(out)) {
		if slices.ContainsFunc([]string{"k8s.io/", "sigs.k8s.io/controller-runtime"}, func(s string) bool { return strings.HasPrefix(p, s) }) {
			t.Errorf("it links %s", p)
		}
	}
}
