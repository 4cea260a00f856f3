// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

// Package httpcache runs the public tests of HTTP caches, https://cache-tests.fyi,
// against the httpCache middleware of a real gateway. They come from npm; node has to
// be installed.
package httpcache

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// corpus and fetcher are the packages; the corpus names more, which its web page and
// its server need not.
const (
	corpus  = "http-cache-tests@0.4.5"
	fetcher = "node-fetch@2.7.0"
)

// exceptions are required tests that do not pass, with the reason.
var exceptions = map[string]string{
	"age-parse-prefix":                       "an Age of two numbers is taken for old, as those of its neighbours must be",
	"headers-store-Content-Range":            "an answer that says that it is a part is not stored",
	"304-etag-update-response-Content-Range": "as before",
	"headers-store-Set-Cookie":               "an answer with a cookie is stored only if it is public",
	"304-etag-update-response-Set-Cookie":    "as before",
	"headers-store-Transfer-Encoding":        "a coding that nobody knows is an answer that nobody can read: 502",
	"partial-use-headers":                    "requests for a part are left to the backend",
	"stale-close-must-revalidate":            "the answer is 502 as it must be, which the test takes for one of the cache",
	"stale-close-proxy-revalidate":           "as before",
	"stale-close-no-cache":                   "as before",
	"stale-close-s-maxage=2":                 "as before",
}

const configuration = `
gateway:
  log: {level: error}
  entryPoints:
    web: {address: "127.0.0.1:%d"}
    webSecure: {address: "127.0.0.1:0"}
    admin: {address: "127.0.0.1:0"}
  routes:
    - {name: tests, path: /, target: "http://127.0.0.1:%d", middlewares: [cache]}
middlewares:
  - name: cache
    type: httpCache
    paths: [/]
    rule: {maxTtl: 100000, defaultTtl: 600, maxStale: 100000, cacheableStatusCodes: [%s]}
`

// outcome is what came of a test.
type outcome struct {
	ID, Kind, Why string
	Pass          bool
}

func TestTheCorpusOfHTTPCaches(t *testing.T) { // M24, M26
	dir := t.TempDir()
	run(t, dir, "npm", "pack", "--silent", corpus)
	run(t, dir, "sh", "-c", "tar xzf http-cache-tests-*.tgz")
	run(t, dir, "npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", fetcher)
	binary := filepath.Join(dir, "goma-gateway")
	run(t, ".", "go", "build", "-o", binary, "../../../cmd/goma-gateway")

	web, backend := freePort(t), freePort(t)
	server := start(t, filepath.Join(dir, "package"), []string{
		"npm_config_protocol=http", fmt.Sprintf("npm_config_port=%d", backend), "npm_config_pidfile=" + filepath.Join(dir, "pid"),
	}, "node", "server/server.mjs")
	file := filepath.Join(dir, "goma.yml")
	var codes []string
	for status := 200; status < 600; status++ {
		codes = append(codes, fmt.Sprint(status))
	}
	must(t, os.WriteFile(file, fmt.Appendf(nil, configuration, web, backend, strings.Join(codes, ",")), 0o600))
	gateway := start(t, dir, nil, binary, "--config", file)
	until(t, "the server of the tests", backend, server)
	until(t, "the gateway", web, gateway)

	output := filepath.Join(dir, "results.json")
	run(t, ".", "node", "--no-warnings", "testdata/run.mjs", dir, fmt.Sprintf("http://127.0.0.1:%d", web), output)
	judge(t, output)
}

func judge(t *testing.T, output string) {
	t.Helper()
	data, err := os.ReadFile(output)
	must(t, err)
	var outcomes []outcome
	must(t, json.Unmarshal(data, &outcomes))
	passed, all := map[string]int{}, map[string]int{}
	for _, o := range outcomes {
		all[o.Kind]++
		switch {
		case o.Pass:
			passed[o.Kind]++
		case o.Kind == "required" && exceptions[o.ID] == "":
			t.Errorf("%s: %s", o.ID, o.Why)
		}
		if o.Pass && exceptions[o.ID] != "" {
			t.Errorf("%s passes and is no exception any more", o.ID)
		}
	}
	if all["required"] < 150 {
		t.Errorf("only %d required tests have run", all["required"])
	}
	for kind, n := range all {
		t.Logf("%s: %d of %d", kind, passed[kind], n)
	}
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// start runs a program until the test ends; it gives what the program writes.
func start(t *testing.T, dir string, environment []string, name string, args ...string) *bytes.Buffer {
	t.Helper()
	out := &bytes.Buffer{}
	c := exec.Command(name, args...) //nolint:noctx // ended below
	c.Dir, c.Env = dir, append(os.Environ(), environment...)
	c.Stdout, c.Stderr = out, out
	must(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
	})
	return out
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()                     //nolint:errcheck // a test
	return l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // it is one
}

// until waits for a program to answer.
func until(t *testing.T, what string, port int, out *bytes.Buffer) {
	t.Helper()
	for range 600 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/", port), nil)
		must(t, err)
		if resp, err := http.DefaultClient.Do(r); err == nil {
			must(t, resp.Body.Close())
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("in vain for %s:\n%s", what, out)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
