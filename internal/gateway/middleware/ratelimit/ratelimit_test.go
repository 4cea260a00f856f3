// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/client"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

// bench is a limit in front of a backend that counts.
type bench struct {
	t    *testing.T
	hits int
	h    http.Handler
	drop func()
}

func newBench(t *testing.T, p *pool.Pool, rule string, paths ...string) *bench {
	t.Helper()
	parsed, problems := parse(json.RawMessage(rule))
	if parsed == nil {
		t.Fatal(problems)
	}
	b := &bench{t: t}
	h, err := parsed.Handler(definition.Build{
		Name: "limit", Paths: paths, Route: definition.RouteInfo{Name: "shop", Path: "/"}, Pool: p,
		Track: func(release func()) { b.drop = release },
	}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { b.hits++ }))
	if err != nil {
		t.Fatal(err)
	}
	b.h = h
	return b
}

func (b *bench) get(client string, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/a", nil)
	for _, e := range edit {
		e(r)
	}
	x := &exchange.Exchange{ClientIP: netip.MustParseAddr(client), Path: r.URL.Path}
	w := httptest.NewRecorder()
	b.h.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
	return w
}

func (b *bench) want(status int, client string, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	b.t.Helper()
	w := b.get(client, edit...)
	if w.Code != status {
		b.t.Fatalf("status %d, want %d", w.Code, status)
	}
	return w
}

func TestAClientGetsItsCapacityAtOnceAndThenItsRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, pool.New(), `{"requestsPerUnit":2,"unit":"second","burst":3}`)
		for range 5 {
			b.want(200, "192.0.2.1")
		}
		w := b.want(429, "192.0.2.1")
		if w.Header().Get("Retry-After") != "1" || w.Header().Get("RateLimit-Limit") != "5" || w.Header().Get("RateLimit-Remaining") != "0" { // M23
			t.Errorf("headers %v", w.Header())
		}
		b.want(200, "192.0.2.2")
		time.Sleep(500 * time.Millisecond)
		b.want(200, "192.0.2.1")
		b.want(429, "192.0.2.1")
		time.Sleep(time.Hour)
		for range 5 {
			b.want(200, "192.0.2.1")
		}
		b.want(429, "192.0.2.1")
		if b.hits != 12 { // M4
			t.Errorf("the backend saw %d requests", b.hits)
		}
	})
}

func TestRefusalsInARowBanAClientForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, pool.New(), `{"requestsPerUnit":1,"unit":"minute","banAfter":3,"banDuration":"5m"}`)
		b.want(200, "192.0.2.1")
		b.want(429, "192.0.2.1")
		b.want(429, "192.0.2.1")
		if w := b.want(403, "192.0.2.1"); w.Header().Get("Retry-After") != "300" {
			t.Errorf("Retry-After %s", w.Header().Get("Retry-After"))
		}
		time.Sleep(4 * time.Minute)
		b.want(403, "192.0.2.1")
		b.want(200, "192.0.2.2")
		time.Sleep(time.Minute)
		b.want(200, "192.0.2.1")
	})
}

func TestClientsAreToldApart(t *testing.T) { // M21
	t.Parallel()
	header := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("X-Key", value) }
	}
	cookie := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "id", Value: value}) }
	}
	t.Run("IPv6 by /64", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, pool.New(), `{"requestsPerUnit":1,"unit":"hour"}`)
		b.want(200, "2001:db8::1")
		b.want(429, "2001:db8::ffff:1")
		b.want(200, "2001:db8:0:1::1")
	})
	t.Run("mapped IPv4 as IPv4", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, pool.New(), `{"requestsPerUnit":1,"unit":"hour"}`)
		b.want(200, "::ffff:192.0.2.1")
		b.want(429, "192.0.2.1")
	})
	t.Run("by header, without it by address", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, pool.New(), `{"requestsPerUnit":1,"unit":"hour","keyStrategy":{"source":"Header","name":"x-key"}}`)
		b.want(200, "192.0.2.1", header("a"))
		b.want(429, "192.0.2.2", header("a"))
		b.want(200, "192.0.2.2", header("b"))
		b.want(200, "192.0.2.1")
		b.want(429, "192.0.2.1")
	})
	t.Run("by cookie", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, pool.New(), `{"requestsPerUnit":1,"unit":"hour","keyStrategy":{"source":"cookie","name":"id"}}`)
		b.want(200, "192.0.2.1", cookie("a"))
		b.want(429, "192.0.2.1", cookie("a"))
		b.want(200, "192.0.2.1", cookie("b"))
	})
}

func TestPreflightsAndChallengesAreNotCounted(t *testing.T) { // M23
	t.Parallel()
	b := newBench(t, pool.New(), `{"requestsPerUnit":1,"unit":"hour"}`)
	for range 3 {
		b.want(200, "192.0.2.1", func(r *http.Request) {
			r.Method = http.MethodOptions
			r.Header.Set("Origin", "https://a.test")
			r.Header.Set("Access-Control-Request-Method", "POST")
		})
		b.want(200, "192.0.2.1", func(r *http.Request) { r.URL.Path = "/.well-known/acme-challenge/x" })
	}
	b.want(200, "192.0.2.1")
	b.want(429, "192.0.2.1", func(r *http.Request) { r.Method = http.MethodOptions })
}

func TestOnlyTheCoveredPathsAreLimited(t *testing.T) {
	t.Parallel()
	b := newBench(t, pool.New(), `{"requestsPerUnit":1,"unit":"hour"}`, "/a")
	b.want(200, "192.0.2.1")
	b.want(429, "192.0.2.1")
	b.want(200, "192.0.2.1", func(r *http.Request) { r.URL.Path = "/b" })
}

func TestCountsOutliveAReloadAndEndWithTheRule(t *testing.T) { // D3
	t.Parallel()
	p := pool.New()
	const rule = `{"requestsPerUnit":1,"unit":"hour"}`
	first := newBench(t, p, rule)
	first.want(200, "192.0.2.1")
	second := newBench(t, p, rule)
	first.drop()
	second.want(429, "192.0.2.1")
	other := newBench(t, p, `{"requestsPerUnit":2,"unit":"hour"}`)
	other.want(200, "192.0.2.1")
	second.drop()
	other.drop()
	if p.Len() != 0 {
		t.Errorf("%d values are left", p.Len())
	}
}

func TestManyClientsTakeBoundedMemory(t *testing.T) { // M21
	t.Parallel()
	b := newBuckets(Settings{RequestsPerUnit: 1, Unit: "hour"}, time.Now)
	var ip [4]byte
	for i := range 3 * shards * mostPerShard {
		ip = [4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}
		b.take(nil, client.Address(netip.AddrFrom4(ip)))
	}
	total := 0
	for i := range b.shard {
		total += len(b.shard[i].byKey)
		if len(b.shard[i].byKey) != b.shard[i].recent.Len() {
			t.Fatal("index and order disagree")
		}
	}
	if total > shards*mostPerShard {
		t.Errorf("%d buckets are kept", total)
	}
	if b.take(nil, client.Address(netip.AddrFrom4(ip))).admitted {
		t.Error("the latest client was forgotten")
	}
}

func TestTheLargestBucketStillRemembersItsClient(t *testing.T) { // M21
	t.Parallel()
	b := newBuckets(Settings{RequestsPerUnit: 1, Burst: most, Unit: "hour"}, time.Now)
	if b.full <= 0 {
		t.Fatalf("a bucket fills in %v", b.full)
	}
}

func TestARuleThatCannotBeMeantIsRefused(t *testing.T) { // C6
	t.Parallel()
	for rule, field := range map[string]string{
		`{}`:                                                      "rule.requestsPerUnit",
		`{"requestsPerUnit":0}`:                                   "rule.requestsPerUnit",
		`{"requestsPerUnit":"10"}`:                                "rule.requestsPerUnit",
		`{"requestsPerUnit":1,"unit":"day"}`:                      "rule.unit",
		`{"requestsPerUnit":1,"burst":-1}`:                        "rule.burst",
		`{"requestsPerUnit":1000000001}`:                          "rule.requestsPerUnit",
		`{"requestsPerUnit":1,"burst":1000000001}`:                "rule.burst",
		`{"requestsPerUnit":1,"banDuration":"soon"}`:              "rule.banDuration",
		`{"requestsPerUnit":1,"banAfter":-1}`:                     "rule.banAfter",
		`{"requestsPerUnit":1,"keyStrategy":{"source":"header"}}`: "rule.keyStrategy.name",
		`{"requestsPerUnit":1,"keyStrategy":{"source":"sun"}}`:    "rule.keyStrategy.source",
		`{"requestsPerUnit":1,"keyStrategy":{"source":"query"}}`:  "rule.keyStrategy.name",
		`{"requestsPerUnit":1,"keyStrategy":{"source":"claim"}}`:  "rule.keyStrategy.name",
		`{"requestsPerUnit":1,"onStoreFailure":"shrug"}`:          "rule.onStoreFailure",
	} {
		if parsed, problems := parse(json.RawMessage(rule)); parsed != nil || len(problems) != 1 || problems[0].Field != field {
			t.Errorf("%s: %v", rule, problems)
		}
	}
}

func BenchmarkTake(b *testing.B) {
	buckets := newBuckets(Settings{RequestsPerUnit: 1 << 30, Unit: defaultUnit}, time.Now)
	keys := make([]client.Key, 1024)
	for i := range keys {
		keys[i] = client.Address(netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", i>>8, i&255)))
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			buckets.take(nil, keys[i%len(keys)])
		}
	})
}

func FuzzParse(f *testing.F) { // C10
	f.Add(`{"requestsPerUnit":1,"unit":"hour","keyStrategy":{"source":"cookie","name":"id"}}`)
	f.Fuzz(func(t *testing.T, rule string) {
		if parsed, problems := parse(json.RawMessage(rule)); (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
	})
}
