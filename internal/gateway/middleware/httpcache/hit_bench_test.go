// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"net/http"
	"testing"
)

// discard is a writer that costs nothing of its own.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// aHit is one request that is answered from memory, ready to be repeated.
func aHit(t testing.TB) func() {
	t.Helper()
	g := newRig(t, plainRule, says(200, "body", "Cache-Control: max-age=300", `ETag: "a"`, "Content-Type: text/plain", "X-A: 1", "Vary: Accept-Encoding"))
	lines := []string{"Accept: */*", "Accept-Encoding: gzip", "User-Agent: curl/8", "X-Request-Id: 1"}
	g.get("/some/page?q=1", lines...)
	r := request(t, http.MethodGet, "/some/page?q=1", lines...)
	w := discard{http.Header{}}
	hit := func() {
		clear(w.h)
		g.handler.ServeHTTP(w, r)
	}
	if hit(); w.h.Get("X-Cache-Status") != "HIT" {
		t.Fatal(w.h)
	}
	return hit
}

func BenchmarkHit(b *testing.B) {
	hit := aHit(b)
	b.ReportAllocs()
	for b.Loop() {
		hit()
	}
}

// Allocations are counted one at a time: this test is not parallel.
func TestAHitLeavesLittleBehind(t *testing.T) {
	if got := testing.AllocsPerRun(200, aHit(t)); got > 4 {
		t.Errorf("a hit allocates %v times", got)
	}
}
