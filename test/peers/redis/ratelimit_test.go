// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package redis

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	store "gateway.jkaninda.dev/goma/internal/gateway/store/redis"
)

func origin(t *testing.T) (url string, hits *atomic.Int64) {
	t.Helper()
	hits = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(server.Close)
	return server.URL, hits
}

const window = 30 * time.Second

const perClient = `{requestsPerUnit: 50, unit: hour, keyStrategy: {source: header, name: X-Client}%s}`

func rule(more string) string { return strings.Replace(perClient, "%s", more, 1) }

// Two replicas are asked for more than the limit for half a minute: what they
// admit together is what one alone would. A replica whose call of Redis took too
// long counts for itself, as it should, so each such call may admit one request
// more, or one less. Only that all of the budget was asked for takes a machine that
// is not too busy to ask, so that may be tried again.
func TestReplicasHoldOneBudget(t *testing.T) { // M22
	s := start(t)
	backend, hits := origin(t)
	const rate, burst, windows = 100, 100, 2
	rule := `{requestsPerUnit: 100, unit: second, burst: 100, keyStrategy: {source: header, name: X-Client}}`
	a, b := replica(t, s.addr, backend, rule), replica(t, s.addr, backend, rule)
	for attempt := range windows {
		a.get("/", "warm")
		b.get("/", "warm")
		failed, before := failures(a, b), hits.Load()
		began := time.Now()
		asked := flood(began.Add(window), string(rune('a'+attempt)), a, b)
		took := time.Since(began)
		late := float64(failures(a, b) - failed)
		admitted := float64(hits.Load() - before)
		budget := rate + burst + rate*took.Seconds()
		t.Logf("%d requests, %v admitted of a budget of %.0f in %v: %+.2f %%; %v calls took too long",
			asked, admitted, budget, took, 100*(admitted/budget-1), late)
		if admitted > 1.02*budget+late {
			t.Fatalf("%v requests were admitted, the budget was %.0f", admitted, budget)
		}
		if admitted >= 0.98*budget-late {
			return
		}
	}
	t.Error("less was admitted than the budget in every window")
}

func failures(gateways ...*gateway) (n int) {
	for _, g := range gateways {
		n += g.metric("gateway_store_failures_total") + g.metric("gateway_store_skipped_total")
	}
	return n
}

// flood sends requests of one client to all gateways until the end.
func flood(end time.Time, client string, gateways ...*gateway) int64 {
	var asked atomic.Int64
	var senders sync.WaitGroup
	for _, g := range gateways {
		for range 4 {
			senders.Go(func() {
				for time.Now().Before(end) {
					if status := g.get("/", client); status != http.StatusOK && status != http.StatusTooManyRequests {
						g.t.Errorf("status %d", status)
						return
					}
					asked.Add(1)
				}
			})
		}
	}
	senders.Wait()
	return asked.Load()
}

// Redis dies, comes back empty, hangs and goes on: no request fails, and each
// replica keeps the limit for itself meanwhile.
func TestNoRequestFailsWhileRedisIsAway(t *testing.T) { // M23
	s := start(t)
	backend, _ := origin(t)
	a, b := replica(t, s.addr, backend, rule("")), replica(t, s.addr, backend, rule(""))
	exact(t, "with Redis", 50, func(client string) int { return a.spend(client, 30) + b.spend(client, 100) }, a, b)

	s.kill()
	down(t, a, b)
	for _, g := range []*gateway{a, b} {
		if n := g.spend("c", 200); n != 50 {
			t.Errorf("a replica that is alone admits %d requests", n)
		}
	}

	s.run()
	up(t, a, b)
	exact(t, "with Redis again", 50, func(client string) int { return a.spend(client, 30) + b.spend(client, 100) }, a, b)

	s.signal(syscall.SIGSTOP)
	down(t, a, b)
	if n := a.spend("d", 200); n != 50 {
		t.Errorf("a replica whose Redis hangs admits %d requests", n)
	}
	s.signal(syscall.SIGCONT)
	up(t, a, b)
	for _, g := range []*gateway{a, b} {
		if log := g.String(); !strings.Contains(log, "does not answer") || !strings.Contains(log, "is back") {
			t.Errorf("the log does not tell:\n%s", log)
		}
	}
}

// exact repeats a count, with a new client each time, until no call of Redis took
// too long in it. On a machine that is too busy for that the last one counts: each
// such call may have made a difference of one.
func exact(t *testing.T, name string, want int, count func(client string) int, gateways ...*gateway) {
	t.Helper()
	n, late := 0, 0
	for i := range 10 {
		before := failures(gateways...)
		n = count(name + strings.Repeat("'", i))
		if late = failures(gateways...) - before; late == 0 {
			break
		}
	}
	if n < want-late || n > want+late {
		t.Errorf("%s %d requests are admitted, not %d; %d calls took too long", name, n, want, late)
	}
}

// down sends requests until the gateways leave Redis alone. Each is answered.
func down(t *testing.T, gateways ...*gateway) { reach(t, 0, gateways) }

func up(t *testing.T, gateways ...*gateway) { reach(t, 1, gateways) }

func reach(t *testing.T, want int, gateways []*gateway) {
	t.Helper()
	for _, g := range gateways {
		until(t, "a gateway to see Redis", func() bool {
			if status := g.get("/", "anybody"); status != http.StatusOK && status != http.StatusTooManyRequests {
				t.Fatalf("status %d", status)
			}
			return g.metric("gateway_store_up") == want
		})
	}
}

func TestTheRuleSaysWhatHappensWithoutRedis(t *testing.T) { // M23
	s := start(t)
	backend, hits := origin(t)
	deny := replica(t, s.addr, backend, rule(", onStoreFailure: deny"))
	allow := replica(t, s.addr, backend, rule(", onStoreFailure: allow"))
	s.kill()
	if status := deny.get("/", "a"); status != http.StatusServiceUnavailable || hits.Load() != 0 {
		t.Errorf("status %d, %d requests reach the backend", status, hits.Load())
	}
	for range 60 {
		if status := allow.get("/", "a"); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
	}
}

func TestABanHoldsOnEveryReplica(t *testing.T) { // M22, M23
	s := start(t)
	backend, _ := origin(t)
	a, b := replica(t, s.addr, backend, rule("")), replica(t, s.addr, backend, rule(""))
	steps := []*gateway{a, b, a, b, a, b, a}
	exact(t, "before the ban", 3, func(client string) (served int) {
		for i, g := range steps {
			status := g.get("/banned", client)
			if i < 3 && status == http.StatusForbidden {
				t.Errorf("a ban after %d refusals", i)
			}
			if i == 5 {
				// Redis forgets its scripts, as after a restart, and the ban still holds.
				must(t, s.client.ScriptFlush(t.Context()).Err())
			}
			if status != http.StatusForbidden {
				served++
			}
		}
		return served
	}, a, b)
}

func TestEveryKeyHasThePrefixAndLeaves(t *testing.T) { // M22
	s := start(t)
	backend, _ := origin(t)
	g := replica(t, s.addr, backend, rule(""))
	g.spend("a", 60)
	g.spend("hush", 3)
	for range 5 {
		g.get("/banned", "")
	}
	keys := s.keys()
	delete(keys, "goma:test/edge:kept:tls/tickets") // of handshakes, not of limits
	if len(keys) < 3 {
		t.Errorf("only %v", keys)
	}
	for key, ttl := range keys {
		if !strings.HasPrefix(key, "goma:test/edge:rate:") || strings.Contains(key, "hush") || ttl <= 0 || ttl > 3*time.Hour {
			t.Errorf("%s leaves in %v", key, ttl)
		}
	}
}

func TestAFlushAtStartTakesTheKeysOfThisGatewayOnly(t *testing.T) {
	s := start(t)
	for _, key := range []string{"goma:a:1", "goma:a:2", "goma:b:1", "other"} {
		must(t, s.client.Set(t.Context(), key, "v", 0).Err())
	}
	r, err := store.New(&config.Redis{Addr: s.addr, Password: password, KeyPrefix: "goma:a:", FlushOnStartup: true}, store.Options{})
	must(t, err)
	t.Cleanup(r.Close)
	until(t, "the flush", func() bool { return len(s.keys()) == 2 })
	if keys := s.keys(); keys["goma:b:1"] == 0 || keys["other"] == 0 {
		t.Errorf("what is left is %v", keys)
	}
}

func TestAStoreKeepsValuesForTheirTime(t *testing.T) {
	s := start(t)
	r, err := store.New(&config.Redis{Addr: s.addr, Password: password}, store.Options{})
	must(t, err)
	t.Cleanup(r.Close)
	until(t, "a value", func() bool { return r.Set(t.Context(), "k", []byte("a\x00b"), time.Hour) == nil })
	until(t, "its reading", func() bool {
		value, ok, err := r.Get(t.Context(), "k")
		if err == nil && (!ok || string(value) != "a\x00b") {
			t.Fatalf("%q, %v", value, ok)
		}
		return err == nil
	})
	if ttl := s.keys()["goma:k"]; ttl <= 59*time.Minute || ttl > time.Hour {
		t.Errorf("it leaves in %v", ttl)
	}
	until(t, "its end", func() bool { return r.Delete(t.Context(), "k", "never") == nil })
	until(t, "the reading of nothing", func() bool {
		_, ok, err := r.Get(t.Context(), "k")
		if err == nil && ok {
			t.Fatal("it is still there")
		}
		return err == nil
	})
}
