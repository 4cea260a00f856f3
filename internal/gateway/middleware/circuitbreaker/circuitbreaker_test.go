// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package circuitbreaker

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/counter"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

// bench is a breaker in front of a backend that does as it is told.
type bench struct {
	t    *testing.T
	h    http.Handler
	drop func()
	log  bytes.Buffer
	hits int
	// backend answers the next requests.
	backend http.HandlerFunc
}

func newBench(t *testing.T, p *pool.Pool, rule string) *bench {
	t.Helper()
	parsed, problems := parse(json.RawMessage(rule))
	if parsed == nil {
		t.Fatal(problems)
	}
	b := &bench{t: t, backend: status(200)}
	var err error
	b.h, err = parsed.Handler(definition.Build{
		Name: "careful", Route: definition.RouteInfo{Name: "shop"}, Pool: p, Logger: slog.New(slog.NewTextHandler(&b.log, nil)),
		Track: func(release func()) { b.drop = release }, Counters: counter.New(),
	}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.hits++
		b.backend(w, r)
	}))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func (b *bench) get() *httptest.ResponseRecorder { return b.getWith(b.t.Context()) }

func (b *bench) getWith(ctx context.Context) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(exchange.With(ctx, &exchange.Exchange{Path: "/"}))
	w := httptest.NewRecorder()
	func() {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // compared by identity
				panic(p)
			}
		}()
		b.h.ServeHTTP(w, r)
	}()
	return w
}

// want sends requests, and wants each to be answered so, by the backend or not.
func (b *bench) want(n, code int, reached bool) (last *httptest.ResponseRecorder) {
	b.t.Helper()
	for i := range n {
		before := b.hits
		last = b.get()
		if last.Code != code || (b.hits > before) != reached {
			b.t.Fatalf("request %d: status %d, want %d; reached the backend: %v", i+1, last.Code, code, b.hits > before)
		}
	}
	return last
}

func TestTooLargeAShareOfFailuresSparesTheBackendForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, pool.New(), `{"minRequests":10,"errorPercent":50,"openDuration":"30s","probes":2}`)
		b.want(6, 200, true)
		b.backend = status(502)
		b.want(6, 502, true) // 6 of 12
		w := b.want(20, 503, false)
		if w.Header().Get("Retry-After") != "30" || !strings.Contains(w.Body.String(), "time to recover") {
			t.Errorf("headers %v, body %s", w.Header(), w.Body)
		}
		time.Sleep(29500 * time.Millisecond)
		if w := b.want(1, 503, false); w.Header().Get("Retry-After") != "1" {
			t.Errorf("headers %v", w.Header())
		}
		time.Sleep(500 * time.Millisecond)
		b.want(1, 502, true) // it is tried once, and still fails
		b.want(5, 503, false)
		time.Sleep(30 * time.Second)
		b.backend = status(200)
		b.want(50, 200, true)
		if log := b.log.String(); !strings.Contains(log, "share of failures") || !strings.Contains(log, "closes") || strings.Count(log, "opens") != 2 {
			t.Errorf("the log says\n%s", log)
		}
		b.backend = status(500)
		b.want(9, 500, true)
		b.backend = status(200)
		b.want(10, 200, true)
	})
}

func TestFailuresInARowSpareTheBackend(t *testing.T) {
	t.Parallel()
	b := newBench(t, pool.New(), `{"consecutiveFailures":3}`)
	for range 5 {
		b.backend = status(500)
		b.want(2, 500, true)
		b.backend = status(404)
		b.want(1, 404, true)
	}
	b.backend = status(503)
	b.want(3, 503, true)
	b.want(3, 503, false)
}

func TestOldAnswersDoNotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, pool.New(), `{"window":"10s","minRequests":4,"errorPercent":75}`)
		b.backend = status(500)
		b.want(3, 500, true)
		time.Sleep(11 * time.Second)
		b.want(3, 500, true)
		time.Sleep(5 * time.Second)
		b.want(1, 500, true)
		b.want(1, 503, false)
	})
}

func TestWhatCountsAsAFailure(t *testing.T) {
	t.Parallel()
	abort := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(200)
		panic(http.ErrAbortHandler)
	}
	slow := func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(2 * time.Second)
		w.WriteHeader(200)
	}
	early := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(500)
	}
	stream := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("one"))
		time.Sleep(time.Hour)
	}
	for name, c := range map[string]struct {
		rule    string
		backend http.HandlerFunc
		opens   bool
	}{
		"a server's error":                {`{"consecutiveFailures":1}`, status(500), true},
		"a client's error":                {`{"consecutiveFailures":1}`, status(404), false},
		"a status that is listed":         {`{"consecutiveFailures":1,"failureStatuses":"429"}`, status(429), true},
		"a status beside the range":       {`{"consecutiveFailures":1,"failureStatuses":"502-504"}`, status(500), false},
		"the end of the range":            {`{"consecutiveFailures":1,"failureStatuses":"502-504"}`, status(504), true},
		"an answer that breaks off":       {`{"consecutiveFailures":1}`, abort, true},
		"an answer that takes too long":   {`{"consecutiveFailures":1,"slowAfter":"1s"}`, slow, true},
		"an answer that may take long":    {`{"consecutiveFailures":1}`, slow, false},
		"a stream that begins in time":    {`{"consecutiveFailures":1,"slowAfter":"1s"}`, stream, false},
		"an error after an interim head":  {`{"consecutiveFailures":1}`, early, true},
		"an answer that nobody has begun": {`{"consecutiveFailures":1}`, func(http.ResponseWriter, *http.Request) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, pool.New(), c.rule)
				b.backend = c.backend
				b.get()
				before := b.hits
				b.get()
				if opened := b.hits == before; opened != c.opens {
					t.Errorf("it opens: %v", opened)
				}
			})
		})
	}
}

func TestAClientThatGoesAwayIsNoFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, pool.New(), `{"consecutiveFailures":1,"probes":1,"openDuration":"1s"}`)
		ctx, cancel := context.WithCancel(t.Context())
		gone := func(http.ResponseWriter, *http.Request) {
			cancel()
			panic(http.ErrAbortHandler)
		}
		b.backend = gone
		b.getWith(ctx)
		b.backend = status(500)
		b.want(1, 500, true)
		b.want(1, 503, false)
		time.Sleep(time.Second)
		b.backend = gone
		b.getWith(ctx) // its turn to try the backend is given back
		b.backend = status(200)
		b.want(5, 200, true)
	})
}

func TestOnlyAFewRequestsTryAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, pool.New(), `{"consecutiveFailures":1,"probes":3,"openDuration":"1s"}`)
		b.backend = status(500)
		b.want(1, 500, true)
		time.Sleep(time.Second)
		release := make(chan struct{})
		var hits, refused sync.Map
		b.h.(*handler).next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			hits.Store(r, true)
			<-release
			w.WriteHeader(200)
		})
		var clients sync.WaitGroup
		for range 20 {
			clients.Go(func() {
				if w := b.get(); w.Code == 503 {
					refused.Store(w, true)
				}
			})
		}
		synctest.Wait()
		if tried, away := size(&hits), size(&refused); tried != 3 || away != 17 {
			t.Errorf("%d requests try the backend, %d are refused", tried, away)
		}
		close(release)
		clients.Wait()
		if b.get().Code != 200 {
			t.Error("three that succeed do not close it")
		}
	})
}

func size(m *sync.Map) (n int) {
	m.Range(func(any, any) bool { n++; return true })
	return n
}

func TestAnswersOfAnEarlierStateDoNotCount(t *testing.T) {
	t.Parallel()
	b := newBench(t, pool.New(), `{"consecutiveFailures":1,"probes":1,"openDuration":"1s"}`)
	c := b.h.(*handler).breaker
	now := time.Now()
	late, _ := c.admit(now)
	early, _ := c.admit(now)
	c.report(early, failure, now)
	now = now.Add(time.Second)
	if _, wait := c.admit(now); wait != 0 {
		t.Fatal("it is not tried")
	}
	c.report(late, failure, now)
	c.report(late, success, now)
	if state(c.current.Load()) != halfOpen || c.running != 1 {
		t.Error("an answer from before decides")
	}
}

func TestTheStateOutlivesAReloadAndEndsWithTheRule(t *testing.T) { // D3
	t.Parallel()
	p := pool.New()
	const rule = `{"consecutiveFailures":1}`
	first := newBench(t, p, rule)
	first.backend = status(500)
	first.want(1, 500, true)
	second := newBench(t, p, rule)
	first.drop()
	second.want(1, 503, false)
	other := newBench(t, p, `{"consecutiveFailures":2}`)
	other.want(1, 200, true)
	second.drop()
	other.drop()
	if p.Len() != 0 {
		t.Errorf("%d values are left", p.Len())
	}
}

func TestARuleThatCannotBeMeantIsRefused(t *testing.T) { // C6
	t.Parallel()
	for rule, field := range map[string]string{
		`{"window":"10ms"}`:               "rule.window",
		`{"window":0}`:                    "rule.window",
		`{"openDuration":"25h"}`:          "rule.openDuration",
		`{"errorPercent":0}`:              "rule.errorPercent",
		`{"errorPercent":101}`:            "rule.errorPercent",
		`{"minRequests":0}`:               "rule.minRequests",
		`{"consecutiveFailures":-1}`:      "rule.consecutiveFailures",
		`{"slowAfter":"-1s"}`:             "rule.slowAfter",
		`{"probes":0}`:                    "rule.probes",
		`{"failureStatuses":"5xx"}`:       "rule.failureStatuses",
		`{"failureStatuses":"599-500"}`:   "rule.failureStatuses",
		`{"failureStatuses":"200-599"}`:   "rule.failureStatuses",
		`{"failureStatuses":"500-599x"}`:  "rule.failureStatuses",
		`{"failureStatuses":"500-5999"}`:  "rule.failureStatuses",
		`{"failureStatuses":""}`:          "rule.failureStatuses",
		`{"failureStatuses":[500]}`:       "rule.failureStatuses",
		`{"failureStatuses":"500 - 599"}`: "rule.failureStatuses",
	} {
		if parsed, problems := parse(json.RawMessage(rule)); parsed != nil || len(problems) != 1 || problems[0].Field != field {
			t.Errorf("%s: %v", rule, problems)
		}
	}
}

func FuzzParse(f *testing.F) { // C10
	f.Add(`{"failureStatuses":"500-504","window":"1m"}`)
	f.Fuzz(func(t *testing.T, rule string) {
		if parsed, problems := parse(json.RawMessage(rule)); (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
	})
}

func BenchmarkAdmitAndReport(b *testing.B) {
	parsed, _ := parse(nil)
	c := newBreaker(parsed.(*rule).settings, definition.Build{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			t, _ := c.admit(time.Now())
			c.report(t, success, time.Now())
		}
	})
}
