// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package acme

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// binary is the built gateway.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "goma-peers-acme")
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
	t              *testing.T
	a              *authority
	dir            string
	web, webSecure string
	admin          string
	log            *output
	process        *exec.Cmd
}

// settings are what differs between the tests.
type settings struct {
	hosts []string
	// acme are more lines of certManager.acme, redis the address of one.
	acme, redis string
	dir         string
	// socket is that of the sidecar, if there is one.
	socket string
}

const configuration = `
gateway:
  log: {level: info}
  entryPoints:
    web: {address: %q}
    webSecure: {address: %q}
    admin: {address: %q}
%s
  monitoring: {enableMetrics: true}
  routes:
    - {name: shop, path: /, hosts: [%s], target: %q, middlewares: [https, login]}
middlewares:
  - {name: https, type: redirectScheme, rule: {scheme: https, permanent: true}}
  - {name: login, type: basic, paths: [/*], rule: {users: [{username: a, password: b}]}}
certManager:
  acme:
    email: ops@example.com
    directoryUrl: %q
    rootCAs: %q
    storageFile: %q
%s
`

func (a *authority) configure(s settings, web, webSecure, admin, backend, dir string) string {
	redis := ""
	if s.redis != "" {
		redis = fmt.Sprintf("  redis: {addr: %q, keyPrefix: \"goma:test/edge:\"}", s.redis)
	}
	quoted := make([]string, len(s.hosts))
	for i, h := range s.hosts {
		quoted[i] = fmt.Sprintf("%q", h)
	}
	return fmt.Sprintf(configuration, web, webSecure, admin, redis, strings.Join(quoted, ", "), backend,
		a.directory(), a.roots, filepath.Join(dir, "acme.json"), s.acme)
}

// gateway starts one behind the two fronts.
func (a *authority) gateway(t *testing.T, s settings) *gateway {
	t.Helper()
	backend := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(backend.Close)
	if s.dir == "" {
		s.dir = t.TempDir()
	}
	g := &gateway{t: t, a: a, dir: s.dir, web: free(t), webSecure: free(t), admin: free(t), log: &output{}}
	file := filepath.Join(s.dir, "goma.yml")
	must(t, os.WriteFile(file, []byte(a.configure(s, g.web, g.webSecure, g.admin, backend.URL, s.dir)), 0o600))
	g.process = exec.Command(binary, "--config", file) //nolint:noctx,gosec // ended below
	g.process.Stdout, g.process.Stderr = g.log, g.log
	if s.socket != "" {
		g.process.Env = append(os.Environ(), "GOMA_CERT_STORE_SOCKET="+s.socket)
	}
	must(t, g.process.Start())
	t.Cleanup(func() {
		g.end()
		if t.Failed() {
			t.Log(g.log)
		}
	})
	// Load balancers send nobody to a gateway that is not ready.
	until(t, "a gateway", func() bool { return g.ready() })
	a.web.add(g.web)
	a.webSecure.add(g.webSecure)
	return g
}

func (g *gateway) ready() bool {
	r, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, "http://"+g.web+"/readyz", nil)
	must(g.t, err)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// end lets the process end.
func (g *gateway) end() {
	if g.process == nil {
		return
	}
	g.a.web.remove(g.web)
	g.a.webSecure.remove(g.webSecure)
	_ = g.process.Process.Signal(syscall.SIGTERM)
	if err := g.process.Wait(); err != nil {
		g.t.Errorf("the gateway ends with %v:\n%s", err, g.log)
	}
	g.process = nil
}

// kill ends the process as the loss of its node would.
func (g *gateway) kill() {
	g.a.web.remove(g.web)
	g.a.webSecure.remove(g.webSecure)
	_ = g.process.Process.Kill()
	_ = g.process.Wait()
	g.process = nil
}

// obtained waits for the certificate of a name.
func (g *gateway) obtained(name string) *certificate {
	g.t.Helper()
	var c *certificate
	until(g.t, "a certificate for "+name, func() bool { c = served(g.webSecure, name); return c != nil })
	return c
}
