// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/geo/geotest"
)

func TestExploitProtectionIsTheFirewallBeforeAllOtherMiddlewares(t *testing.T) { // M29
	t.Parallel()
	b := newBench(t)
	guarded := newRoute("a", "/a")
	guarded.Security = &config.RouteSecurity{EnableExploitProtection: true}
	guarded.Middlewares = []string{"door"}
	c := cfg(guarded, newRoute("b", "/b"))
	c.Middlewares = []*config.Middleware{{Name: "door", Type: "basicAuth", Rule: []byte(`{"users":["ann:a"]}`)}}
	b.apply(c)
	agent := func(r *http.Request) { r.Header.Set("User-Agent", "Mozilla/5.0") }
	const attack = "?q=1'%20UNION%20SELECT%20password%20FROM%20users--"
	for target, want := range map[string]int{
		"http://h/a" + attack: 403, "http://h/a?q=update": 401, "http://h/b" + attack: 200,
	} {
		if w, _ := b.do("GET", target, agent); w.Code != want {
			t.Errorf("%s: status %d, want %d", target, w.Code, want)
		}
	}
	open := *guarded
	open.Security = nil
	b.apply(&config.Config{Routes: []*config.Route{&open}, Middlewares: c.Middlewares})
	if w, _ := b.do("GET", "http://h/a"+attack, agent); w.Code != 401 {
		t.Errorf("without protection: status %d", w.Code)
	}
}

func TestADatabaseOfCountriesThatAppearsIsUsed(t *testing.T) { // M2, M20
	t.Parallel()
	b := newBench(t)
	path := filepath.Join(t.TempDir(), "geo.mmdb")
	o := b.compiler.o
	o.GeoDatabase = path
	b.compiler = NewCompiler(o)
	r := newRoute("a", "/a")
	r.Middlewares = []string{"nordic"}
	c := cfg(r, newRoute("b", "/b"))
	c.Middlewares = []*config.Middleware{{Name: "nordic", Type: "geoBlock", Rule: []byte(`{"action":"ALLOW","countries":["SE"]}`)}}
	if s := b.apply(c); !slices.Contains(s.Files(), path) {
		t.Fatalf("files %v", s.Files())
	}
	b.expect("GET", "http://h/a", 503, "")
	b.expect("GET", "http://h/b", 200, "b")
	for country, want := range map[string]int{"SE": 200, "FR": 403} {
		geotest.Write(t, path, geotest.Countries(map[string]string{"192.0.2.0/24": country}))
		b.apply(c)
		r, w := httptest.NewRequest(http.MethodGet, "http://h/a", nil), httptest.NewRecorder()
		x := &exchange.Exchange{Path: "/a", Host: "h", ClientIP: netip.MustParseAddr("192.0.2.1")}
		b.live.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
		if w.Code != want {
			t.Errorf("%s: status %d, want %d", country, w.Code, want)
		}
	}
	if built, _ := b.count("b"); built != 1 {
		t.Errorf("the other route was built %d times", built)
	}
}
