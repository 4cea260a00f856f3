// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"net/http"
	"net/netip"
	"testing"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// discard is a writer that costs nothing of its own.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// passage gives one request that passes a middleware of the type, ready to be
// repeated.
func passage(t testing.TB, kind string) func() {
	t.Helper()
	h := handler(t, kind, passing[kind], func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://a.test/api/users?id=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("ann", "a")
	identified(kind, r.Header)
	r.Header.Set("Cookie", loggedIn)
	x := &exchange.Exchange{ClientIP: netip.MustParseAddr("192.0.2.1"), Scheme: "http", Host: "a.test", Path: "/api/users"}
	r = r.WithContext(exchange.With(r.Context(), x))
	w := discard{http.Header{}}
	return func() {
		clear(w.h)
		x.LogFields = nil // each request begins without
		h.ServeHTTP(w, r)
	}
}

func BenchmarkPassage(b *testing.B) {
	for _, name := range letting() {
		b.Run(name, func(b *testing.B) {
			pass := passage(b, name)
			b.ReportAllocs()
			for b.Loop() {
				pass()
			}
		})
	}
}

// allocations are how many values a request may leave behind in each type: the
// wrapped writer, the changed URL, the decoded credentials.
var allocations = map[string]float64{
	"accessLog": 0, "compress": 1, "errorInterceptor": 1,
	"retry":         16,
	"httpCache":     30, // of an answer that is for its client alone
	"inFlightLimit": 0,
	"apiKey":        1,
	"stripPrefix":   3,
	"jwt":           0,
	"rewriteRegex":  8, "ldap": 4, "oauth": 30, "forwardAuth": 400, // with those of the service it asks
	"circuitBreaker": 1, "geoBlock": 2, "waf": 5000, // it runs some 300 rules
	"redirectRegex": 1, "stripQuery": 1, "access": 0, "bodyLimit": 0, "userAgentBlock": 0,
	"accessPolicy": 0, "addPrefix": 3, "basic": 4, "rateLimit": 0, "redirectScheme": 0, "requestHeaders": 0, "responseHeaders": 1,
}

// Allocations are counted one at a time: this test is not parallel.
func TestARequestLeavesLittleBehind(t *testing.T) {
	for _, name := range letting() {
		most, ok := allocations[name]
		if !ok {
			t.Errorf("say how many allocations a request may make in %s", name)
			continue
		}
		pass := passage(t, name)
		if got := testing.AllocsPerRun(100, pass); got > most {
			t.Errorf("%s allocates %v times per request, and may %v times", name, got, most)
		}
	}
}
