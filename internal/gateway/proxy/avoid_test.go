// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"
)

// A request that is sent again goes elsewhere, even where the policy would keep it.
func TestARequestAvoidsTheEndpointThatHasFailedIt(t *testing.T) { // U3
	t.Parallel()
	for name, backends := range map[string]int{"with another endpoint": 3, "without one": 1} {
		route := config.Route{Name: "r", Path: "/", Backends: named(t, backends), LoadBalancing: hashed("path", "")}
		cluster, problems := upstream.NewRegistry(upstream.Settings{}, pool.New()).Acquire(&route)
		if cluster == nil {
			t.Fatal(problems)
		}
		t.Cleanup(cluster.Release)
		h := New(Options{Route: &route, Cluster: cluster})
		serve := func(avoid ...string) string {
			x := &exchange.Exchange{Scheme: "http", Host: "shop.example", Path: "/p", Avoid: avoid}
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, "/p", nil)
			h.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
			if w.Code != http.StatusOK {
				t.Errorf("%s: status %d", name, w.Code)
			}
			return x.Upstream
		}
		first := serve()
		if again := serve(); again != first {
			t.Errorf("%s: the policy does not keep the request at %s, but takes %s", name, first, again)
		}
		if other := serve(first); (other == first) != (backends == 1) {
			t.Errorf("%s: after %s failed it the request is sent to %s", name, first, other)
		}
	}
}
