// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package redis

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/test/peers/program"
)

// binary is the built gateway.
var binary string

func TestMain(m *testing.M) { os.Exit(program.Main(m, "goma-gateway", &binary)) }

// gateway is one goma-gateway process: one replica.
type gateway struct {
	*program.Gateway

	t   *testing.T
	url string
}

const configuration = `
gateway:
  log: {level: info}
%s
  redis: {addr: %q, password: %q, keyPrefix: "goma:test/edge:"}
  monitoring: {enableMetrics: true}
  routes:
    - {name: shop, path: /, target: %q, middlewares: [limit]}
    - {name: banned, path: /banned, target: %q, middlewares: [strict]}
middlewares:
  - {name: limit, type: rateLimit, rule: %s}
  - {name: strict, type: rateLimit, rule: {requestsPerUnit: 1, unit: hour, banAfter: 3, banDuration: 1h, keyStrategy: {source: header, name: X-Client}}}
`

// replica starts a gateway in front of a backend.
func replica(t *testing.T, redis, backend, rule string) *gateway {
	t.Helper()
	g := program.Serve(t, binary, fmt.Sprintf(configuration, program.Listen, redis, password, backend, backend, rule))
	t.Cleanup(func() {
		g.End()
		if strings.Contains(g.String(), password) {
			t.Error("the log tells the password") // B5
		}
	})
	return &gateway{Gateway: g, t: t, url: "http://" + g.Web}
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
