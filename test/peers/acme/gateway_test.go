// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package acme

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/test/peers/program"
)

// binary is the built gateway.
var binary string

func TestMain(m *testing.M) { os.Exit(program.Main(m, "goma-gateway", &binary)) }

// gateway is one goma-gateway process: one replica.
type gateway struct {
	*program.Process

	t              *testing.T
	a              *authority
	dir            string
	web, webSecure string
	admin          string
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
	g := &gateway{t: t, a: a, dir: s.dir, web: free(t), webSecure: free(t), admin: free(t)}
	file := filepath.Join(s.dir, "goma.yml")
	must(t, os.WriteFile(file, []byte(a.configure(s, g.web, g.webSecure, g.admin, backend.URL, s.dir)), 0o600))
	cmd := exec.Command(binary, "--config", file) //nolint:noctx,gosec // ended by Start
	if s.socket != "" {
		cmd.Env = append(os.Environ(), "GOMA_CERT_STORE_SOCKET="+s.socket)
	}
	g.Process = program.Start(t, cmd)
	t.Cleanup(g.end)
	// Load balancers send nobody to a gateway that is not ready.
	g.Until("a gateway that is ready", g.ready)
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
	g.leave()
	g.End()
}

// kill ends the process as the loss of its node would.
func (g *gateway) kill() {
	g.leave()
	g.Kill()
}

func (g *gateway) leave() {
	g.a.web.remove(g.web)
	g.a.webSecure.remove(g.webSecure)
}

// obtained waits for the certificate of a name.
func (g *gateway) obtained(name string) *certificate {
	g.t.Helper()
	var c *certificate
	until(g.t, "a certificate for "+name, func() bool { c = served(g.webSecure, name); return c != nil })
	return c
}
