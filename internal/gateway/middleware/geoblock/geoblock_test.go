// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package geoblock

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/counter"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/geo/geotest"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

// bench is a rule in front of a backend that remembers.
type bench struct {
	h        http.Handler
	hits     int
	last     http.Header
	counters *counter.Set
	depends  []string
}

const (
	british = "81.2.69.142"
	swedish = "89.160.20.112"
	unknown = "8.8.8.8"
)

func newBench(t *testing.T, rule string) *bench {
	t.Helper()
	path := filepath.Join(t.TempDir(), "geo.mmdb")
	geotest.Write(t, path, geotest.Countries(map[string]string{"81.2.69.0/24": "GB", "89.160.20.0/24": "SE", "10.0.0.0/8": "SE"}))
	parsed, problems := parse(json.RawMessage(rule))
	if parsed == nil {
		t.Fatal(problems)
	}
	b := &bench{counters: counter.New()}
	var err error
	b.h, err = parsed.Handler(definition.Build{
		Name: "europe", Pool: pool.New(), Track: t.Cleanup, GeoDatabase: path, Counters: b.counters,
		DependOn: func(path string) { b.depends = append(b.depends, path) },
	}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { b.hits, b.last = b.hits+1, r.Header.Clone() }))
	if err != nil {
		t.Fatal(err)
	}
	if len(b.depends) != 1 || b.depends[0] != path {
		t.Errorf("the handler depends on %v", b.depends)
	}
	return b
}

func (b *bench) get(client string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if header != nil {
		r.Header = header
	}
	x := &exchange.Exchange{Path: "/"}
	if client != "" {
		x.ClientIP = netip.MustParseAddr(client)
	}
	w := httptest.NewRecorder()
	b.h.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
	return w
}

func TestACountryIsAdmittedOrRefused(t *testing.T) { // M20, M4
	t.Parallel()
	for rule, want := range map[string]map[string]int{
		`{"action":"allow","countries":["gb","FR"]}`:                        {british: 200, swedish: 403, unknown: 200, "": 200},
		`{"action":"ALLOW","countries":["GB"],"allowUnknown":false}`:        {british: 200, swedish: 403, unknown: 403, "": 403},
		`{"action":"Deny","countries":["SE"]}`:                              {british: 200, swedish: 403, unknown: 200, "::ffff:" + swedish: 403},
		`{"action":"DENY","countries":["se"],"statusCode":451}`:             {british: 200, swedish: 451},
		`{"action":"ALLOW","countries":["FR"],"allowUnknown":false}`:        {"10.0.0.1": 200, "127.0.0.1": 200, "::1": 200, "fe80::1": 200, "fd00::1": 200, "169.254.1.1": 200, "0.0.0.0": 200},
		`{"action":"DENY","countries":["SE"],"allowUnknown":true}`:          {"10.0.0.1": 200},
		`{"action":"DENY","countries":["GB"],"message":"","statusCode":0 }`: {british: 403},
	} {
		b, served := newBench(t, rule), 0
		for client, status := range want {
			w := b.get(client, http.Header{"X-Forwarded-For": {"10.0.0.1"}, "X-Real-Ip": {"10.0.0.1"}})
			if w.Code != status {
				t.Errorf("%s: %s gets %d, want %d", rule, client, w.Code, status)
			}
			if status == 200 {
				served++
			} else if !strings.Contains(w.Body.String(), "Access denied from your region") {
				t.Errorf("%s: the refusal says %q", rule, w.Body)
			}
		}
		if b.hits != served {
			t.Errorf("%s: the backend saw %d requests, want %d", rule, b.hits, served)
		}
	}
}

func TestTheBackendLearnsTheCountryFromUsOnly(t *testing.T) { // P8
	t.Parallel()
	b := newBench(t, `{"action":"DENY","countries":["FR"],"addCountryHeader":"x-country"}`)
	for client, want := range map[string]string{british: "GB", unknown: "", "10.0.0.1": ""} {
		b.get(client, http.Header{"X-Country": {"FR"}, "x_country": {"FR"}, "X_Country": {"FR"}, "X-Other": {"1"}})
		if b.last.Get("X-Country") != want || len(b.last) > 2 || b.last.Get("X-Other") != "1" {
			t.Errorf("of %s the backend learns %v", client, b.last)
		}
	}
}

func TestRefusalsAreCountedByCountry(t *testing.T) {
	t.Parallel()
	b := newBench(t, `{"action":"ALLOW","countries":["FR"],"allowUnknown":false,"message":"not here"}`)
	for _, client := range []string{british, british, swedish, unknown} {
		if w := b.get(client, nil); !strings.Contains(w.Body.String(), "not here") {
			t.Error(w.Body)
		}
	}
	const want = `
# HELP gateway_geoblock_denied_total Requests refused for their country. One series for each middleware and country that was refused, some 250 at most.
# TYPE gateway_geoblock_denied_total counter
gateway_geoblock_denied_total{country="GB",name="europe"} 2
gateway_geoblock_denied_total{country="SE",name="europe"} 1
gateway_geoblock_denied_total{country="unknown",name="europe"} 1
`
	if err := testutil.CollectAndCompare(b.counters, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestWithoutADatabaseThereIsNoHandler(t *testing.T) { // M2, M20
	t.Parallel()
	parsed, problems := parse(json.RawMessage(`{"action":"DENY","countries":["FR"]}`))
	if parsed == nil {
		t.Fatal(problems)
	}
	p := pool.New()
	for path, says := range map[string]string{"": "GOMA_GEOIP_DB", filepath.Join(t.TempDir(), "none"): "no such file"} {
		var depends []string
		h, err := parsed.Handler(definition.Build{Pool: p, Track: t.Cleanup, GeoDatabase: path, DependOn: func(path string) { depends = append(depends, path) }}, nil)
		if h != nil || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, %v", path, h, err)
		}
		if path != "" && len(depends) != 1 {
			t.Error("the database is not waited for")
		}
	}
	if p.Len() != 0 {
		t.Error("something is left")
	}
	if _, err := parsed.Handler(definition.Build{Pool: p, CheckOnly: true}, nil); err != nil {
		t.Errorf("a check of a rule, away from the gateway: %v", err)
	}
}

func TestARuleThatCannotBeMeantIsRefused(t *testing.T) { // C6
	t.Parallel()
	for rule, field := range map[string]string{
		`{"countries":["FR"]}`:                                                              "rule.action",
		`{"action":"block","countries":["FR"]}`:                                             "rule.action",
		`{"action":"DENY"}`:                                                                 "rule.countries",
		`{"action":"DENY","countries":["FR","France"]}`:                                     "rule.countries[1]",
		`{"action":"DENY","countries":["UK"]}`:                                              "rule.countries[0]",
		`{"action":"DENY","countries":["FR"],"statusCode":200}`:                             "rule.statusCode",
		`{"action":"DENY","countries":["FR"],"addCountryHeader":"a b"}`:                     "rule.addCountryHeader",
		`{"action":"DENY","countries":["FR"],"addCountryHeader":"content-length"}`:          "rule.addCountryHeader",
		`{"action":"DENY","countries":["FR"],"allowUnknown":"no"}`:                          "rule.allowUnknown",
		`{"action":"DENY","countries":["FR"],"addCountryHeader":"X-A\r\nX-Evil: 1"}`:        "rule.addCountryHeader",
		`{"action":"DENY","countries":["FR"],"statusCode":451,"addCountryHeader":"Host"}  `: "rule.addCountryHeader",
	} {
		if parsed, problems := parse(json.RawMessage(rule)); parsed != nil || len(problems) != 1 || problems[0].Field != field {
			t.Errorf("%s: %v", rule, problems)
		}
	}
}

func FuzzParse(f *testing.F) { // C10
	f.Add(`{"action":"DENY","countries":["FR"],"addCountryHeader":"X-Country"}`)
	f.Fuzz(func(t *testing.T, rule string) {
		if parsed, problems := parse(json.RawMessage(rule)); (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
	})
}
