// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/store"
)

// answers is a store that answers as it is told and notes what it is asked. What
// the script does is tested with a real Redis, in test/peers/redis.
type answers struct {
	store.Store

	next []int64 // nil fails
	keys []string
	args []any
}

func (a *answers) Eval(_ context.Context, _ *store.Script, keys []string, args ...any) ([]int64, error) {
	a.keys, a.args = append(a.keys, keys...), args
	if a.next == nil {
		return nil, fmt.Errorf("testing: %w", store.ErrUnavailable)
	}
	return a.next, nil
}

func (a *answers) limit(t *testing.T, route, name, rule string) *bench {
	t.Helper()
	parsed, problems := parse(json.RawMessage(rule))
	if parsed == nil {
		t.Fatal(problems)
	}
	b := &bench{t: t}
	h, err := parsed.Handler(definition.Build{
		Name: name, Route: definition.RouteInfo{Name: route, Path: "/"}, Pool: pool.New(), Store: a,
		Track: func(release func()) { b.drop = release },
	}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { b.hits++ }))
	if err != nil {
		t.Fatal(err)
	}
	b.h = h
	return b
}

func TestTheSharedStoreDecides(t *testing.T) { // M22
	t.Parallel()
	a := &answers{next: []int64{1, 0, 0}}
	b := a.limit(t, "shop", "limit", `{"requestsPerUnit":2,"unit":"second","burst":1}`)
	for range 10 {
		b.want(200, "192.0.2.1")
	}
	a.next = []int64{0, 0, 1_500_000}
	if w := b.want(429, "192.0.2.1"); w.Header().Get("Retry-After") != "2" || w.Header().Get("RateLimit-Limit") != "3" || w.Header().Get("RateLimit-Reset") != "2" {
		t.Errorf("headers %v", w.Header())
	}
	a.next = []int64{0, 1, 90_000_000}
	if w := b.want(403, "192.0.2.1"); w.Header().Get("Retry-After") != "90" {
		t.Errorf("headers %v", w.Header())
	}
	if b.hits != 10 { // M4
		t.Errorf("the backend saw %d requests", b.hits)
	}
}

func TestTheScopeInTheStoreIsThatOfMemory(t *testing.T) { // M22
	t.Parallel()
	const rule = `{"requestsPerUnit":2}`
	seen := map[string]string{}
	for name, scope := range map[string][3]string{
		"a route": {"shop", "limit", rule}, "another route": {"blog", "limit", rule}, "another middleware": {"shop", "second", rule},
		"another rule": {"shop", "limit", `{"requestsPerUnit":3}`}, "names that join alike": {"shop limit", "", rule},
	} {
		a := &answers{next: []int64{1, 0, 0}}
		a.limit(t, scope[0], scope[1], scope[2]).want(200, "192.0.2.1")
		if other := seen[a.keys[0]]; other != "" {
			t.Errorf("%s and %s share the key %s", name, other, a.keys[0])
		}
		seen[a.keys[0]] = name
	}
	a := &answers{next: []int64{1, 0, 0}}
	a.limit(t, "shop", "limit", `{"unit":"SECOND","burst":0, "requestsPerUnit":2}`).want(200, "192.0.2.1")
	if seen[a.keys[0]] != "a route" {
		t.Errorf("the same rule in other words has the key %s of its own", a.keys[0])
	}
}

func TestAClientKeyIsShortAndTellsNothing(t *testing.T) { // M21, B5
	t.Parallel()
	a := &answers{next: []int64{1, 0, 0}}
	b := a.limit(t, "shop", "limit", `{"requestsPerUnit":2,"keyStrategy":{"source":"header","name":"X-Api-Key"}}`)
	b.want(200, "192.0.2.1", func(r *http.Request) { r.Header.Set("X-Api-Key", strings.Repeat("hush", 1000)) })
	b.want(200, "2001:db8::1:2:3:4")
	if strings.Contains(a.keys[0], "hush") || len(a.keys[0]) > 100 || !strings.HasSuffix(a.keys[1], ":ip:2001:db8::") {
		t.Errorf("%q", a.keys)
	}
}

func TestWhatRestsLeavesTheStore(t *testing.T) { // M22
	t.Parallel()
	for rule, want := range map[string]int64{
		`{"requestsPerUnit":10,"unit":"minute"}`:                                61_000,
		`{"requestsPerUnit":10,"unit":"minute","burst":10}`:                     121_000,
		`{"requestsPerUnit":10,"unit":"minute","banAfter":3}`:                   601_000,
		`{"requestsPerUnit":1,"unit":"hour","burst":1000000000,"banAfter":100}`: longestRest.Milliseconds() + 1000,
	} {
		a := &answers{next: []int64{1, 0, 0}}
		a.limit(t, "shop", "limit", rule).want(200, "192.0.2.1")
		if got := a.args[4]; got != want {
			t.Errorf("%s: %v ms, want %d", rule, got, want)
		}
	}
}

func TestWithoutTheStoreTheRuleSaysWhatHappens(t *testing.T) { // M23
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const rule = `{"requestsPerUnit":2,"unit":"hour","banAfter":1,"banDuration":"1h"%s}`
		for _, given := range []string{"", `,"onStoreFailure":"LOCAL"`} {
			local := (&answers{}).limit(t, "shop", "limit", fmt.Sprintf(rule, given))
			local.want(200, "192.0.2.1")
			local.want(200, "192.0.2.1")
			for range 3 {
				local.want(429, "192.0.2.1") // and never a ban
			}
			local.want(200, "192.0.2.2")
			time.Sleep(30 * time.Minute)
			local.want(200, "192.0.2.1")
		}
		allow := (&answers{}).limit(t, "shop", "limit", fmt.Sprintf(rule, `,"onStoreFailure":"allow"`))
		for range 10 {
			allow.want(200, "192.0.2.1")
		}
		deny := (&answers{}).limit(t, "shop", "limit", fmt.Sprintf(rule, `,"onStoreFailure":"deny"`))
		if w := deny.want(503, "192.0.2.1"); w.Header().Get("Retry-After") == "" || deny.hits != 0 {
			t.Errorf("headers %v, %d hits", w.Header(), deny.hits)
		}
	})
}

func TestAnAnswerThatMakesNoSenseIsNoAnswer(t *testing.T) { // M23
	t.Parallel()
	b := (&answers{next: []int64{}}).limit(t, "shop", "limit", `{"requestsPerUnit":1,"unit":"hour"}`)
	b.want(200, "192.0.2.1")
	b.want(429, "192.0.2.1")
}

func TestClientsAreToldApartByQueryAndClaim(t *testing.T) { // M21
	t.Parallel()
	query := func(q string) func(*http.Request) { return func(r *http.Request) { r.URL.RawQuery = q } }
	b := newBench(t, pool.New(), `{"requestsPerUnit":1,"unit":"hour","keyStrategy":{"source":"query","name":"api key"}}`)
	b.want(200, "192.0.2.1", query("x=1&api+key=a%20b"))
	b.want(429, "192.0.2.2", query("api%20key=a+b&api+key=other"))
	b.want(200, "192.0.2.2", query("api+key=%zz"))
	b.want(200, "192.0.2.1", query("api+key="))
	b.want(429, "192.0.2.1")

	claims := newBench(t, pool.New(), `{"requestsPerUnit":1,"unit":"hour","keyStrategy":{"source":"claim","name":"user.id"}}`)
	as := func(id string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("X-Test-Claim", id) }
	}
	inner := claims.h
	claims.h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id := r.Header.Get("X-Test-Claim"); id != "" {
			exchange.Of(r).Claim = func(path string) (string, bool) { return id, path == "user.id" }
		}
		inner.ServeHTTP(w, r)
	})
	claims.want(200, "192.0.2.1", as("ann"))
	claims.want(429, "192.0.2.2", as("ann"))
	claims.want(200, "192.0.2.1", as("bob"))
	claims.want(200, "192.0.2.1")
	claims.want(429, "192.0.2.1")
}
