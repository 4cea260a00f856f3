// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package redis

import (
	"fmt"
	"net/http"
	"testing"

	"gateway.jkaninda.dev/goma/test/peers/program"
)

const cached = `
gateway:
  log: {level: info}
%s
  redis: {addr: %q, password: %q, keyPrefix: "goma:test/edge:"}
  monitoring: {enableMetrics: true}
  routes:
    - {name: kept, path: /, target: %q, middlewares: [cache]}
    - {name: must, path: /must, target: %q, middlewares: [strict]}
middlewares:
  - {name: cache, type: httpCache, paths: [/], rule: {maxTtl: 60}}
  - {name: strict, type: httpCache, paths: [/must], rule: {maxTtl: 60, onStoreFailure: deny}}
`

func caching(t *testing.T, redis, backend string) *gateway {
	t.Helper()
	g := program.Serve(t, binary, fmt.Sprintf(cached, program.Listen, redis, password, backend, backend))
	t.Cleanup(g.End)
	return &gateway{Gateway: g, t: t, url: "http://" + g.Web}
}

// What one replica has asked the backend for, the other has too, until one of them
// sees it change; and without Redis each keeps answers for itself, or answers 503.
func TestReplicasShareTheirAnswers(t *testing.T) { // M24
	s := start(t)
	backend, hits := origin(t)
	a, b := caching(t, s.addr, backend), caching(t, s.addr, backend)
	asked := func(g *gateway, path string, status int, want int64) {
		t.Helper()
		if got := g.ask(http.MethodGet, path); got != status || hits.Load() != want {
			t.Fatalf("%s: status %d, and the backend was asked %d times; want %d and %d", path, got, hits.Load(), status, want)
		}
	}
	asked(a, "/page", http.StatusOK, 1)
	asked(b, "/page", http.StatusOK, 1)
	asked(b, "/page?2", http.StatusOK, 2)
	asked(a, "/page?2", http.StatusOK, 2)
	asked(a, "/must", http.StatusOK, 3)

	b.ask(http.MethodPost, "/page")
	asked(a, "/page", http.StatusOK, 5)

	s.kill()
	asked(a, "/page", http.StatusOK, 5) // its own copy
	asked(b, "/other", http.StatusOK, 6)
	asked(b, "/other", http.StatusOK, 6)
	asked(a, "/must", http.StatusServiceUnavailable, 6)
}

// ask sends a request for a host that both replicas serve.
func (g *gateway) ask(method, path string) int {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.url+path, nil)
	must(g.t, err)
	r.Host = "shop.example"
	resp, err := http.DefaultClient.Do(r)
	must(g.t, err)
	must(g.t, resp.Body.Close())
	return resp.StatusCode
}
