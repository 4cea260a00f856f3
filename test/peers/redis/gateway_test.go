// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package redis

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// binary is the built gateway.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "goma-peers-redis")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "goma-gateway")
	build := exec.Command("go", "build", "-o", binary, "../../../cmd/goma-gateway") //nolint:noctx,gosec // a test
	build.Stderr = os.Stderr
	code := 1
	if err := build.Run(); err == nil {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// output is what a process has written so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// gateway is one goma-gateway process: one replica.
type gateway struct {
	t   *testing.T
	url string
	log *output
}

const configuration = `
gateway:
  log: {level: info}
  entryPoints:
    web: {address: "127.0.0.1:0"}
    webSecure: {address: "127.0.0.1:0"}
    admin: {address: "127.0.0.1:0"}
  redis: {addr: %q, password: %q, keyPrefix: "goma:test/edge:"}
  monitoring: {enableMetrics: true}
  routes:
    - {name: shop, path: /, target: %q, middlewares: [limit]}
    - {name: banned, path: /banned, target: %q, middlewares: [strict]}
middlewares:
  - {name: limit, type: rateLimit, rule: %s}
  - {name: strict, type: rateLimit, rule: {requestsPerUnit: 1, unit: hour, banAfter: 3, banDuration: 1h, keyStrategy: {source: header, name: X-Client}}}
`

var ready = regexp.MustCompile(`msg=ready web=(\S+)|INFO ready web=(\S+)`)

// replica starts a gateway in front of a backend.
func replica(t *testing.T, redis, backend, rule string) *gateway {
	t.Helper()
	file := filepath.Join(t.TempDir(), "goma.yml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, configuration, redis, password, backend, backend, rule), 0o600))
	g := &gateway{t: t, log: &output{}}
	process := exec.Command(binary, "--config", file) //nolint:noctx,gosec // ended below
	process.Stdout, process.Stderr = g.log, g.log
	must(t, process.Start())
	t.Cleanup(func() {
		_ = process.Process.Signal(syscall.SIGTERM)
		if err := process.Wait(); err != nil {
			t.Errorf("the gateway ends with %v:\n%s", err, g.log)
		}
		if strings.Contains(g.log.String(), password) {
			t.Error("the log tells the password") // B5
		}
	})
	until(t, "a gateway", func() bool { return ready.MatchString(g.log.String()) })
	for _, address := range ready.FindStringSubmatch(g.log.String())[1:] {
		if address != "" {
			g.url = "http://" + address
		}
	}
	return g
}

// get asks for a path as a client, who is told by a header.
func (g *gateway) get(path, client string) int {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, g.url+path, nil)
	must(g.t, err)
	r.Header.Set("X-Client", client)
	resp, err := http.DefaultClient.Do(r)
	must(g.t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	must(g.t, err)
	must(g.t, resp.Body.Close())
	return resp.StatusCode
}

// metric reads a number of the gateway.
func (g *gateway) metric(name string) int {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, g.url+"/metrics", nil)
	must(g.t, err)
	resp, err := http.DefaultClient.Do(r)
	must(g.t, err)
	defer resp.Body.Close() //nolint:errcheck // a test
	text, err := io.ReadAll(resp.Body)
	must(g.t, err)
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			must(g.t, err)
			return int(n)
		}
	}
	g.t.Fatalf("there is no metric %s", name)
	return 0
}

// spend sends requests of a client until one is refused or there were enough, and
// tells how many were admitted.
func (g *gateway) spend(client string, most int) (admitted int) {
	g.t.Helper()
	for range most {
		switch status := g.get("/", client); status {
		case http.StatusOK:
			admitted++
		case http.StatusTooManyRequests:
			return admitted
		default:
			g.t.Fatalf("status %d", status)
		}
	}
	return admitted
}
