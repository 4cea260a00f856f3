// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"gateway.jkaninda.dev/goma/internal/gateway/counter"
)

// settled is what the memory takes when all is done that was begun.
func (m *memory) settled() (gauge, weight int64) {
	if m.cache == nil {
		return m.bytes.Load(), 0
	}
	m.cache.CleanUp()
	return m.bytes.Load(), int64(m.cache.WeightedSize()) //nolint:gosec // a test
}

func sized(n int) http.HandlerFunc {
	return says(200, strings.Repeat("x", n), "Cache-Control: max-age=60")
}

func TestMemoryIsBounded(t *testing.T) { // M25
	t.Parallel()
	for _, c := range []struct {
		name, rule string
		body       int
		limit      int64
		stored     bool
	}{
		{"unset", `{}`, 4 << 20, 64 << 20, true},
		{"empty", `{"memoryLimit":""}`, 4 << 20, 64 << 20, true},
		{"null", `{"memoryLimit":null}`, 4 << 20, 64 << 20, true},
		{"a number", `{"memoryLimit":1048576}`, 100 << 10, 1 << 20, true},
		{"100Mi", `{"memoryLimit":"100Mi"}`, 4 << 20, 100 << 20, true},
		{"0", `{"memoryLimit":0}`, 100, 0, false},
		{"0 as text", `{"memoryLimit":"0Mi"}`, 100, 0, false},
		{"smaller than one entry", `{"memoryLimit":"1Ki"}`, 900, 1 << 10, false},
		{"small", `{"memoryLimit":"64Ki"}`, 8 << 10, 64 << 10, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, c.rule, sized(c.body))
			defer g.close()
			if limit := g.memory().limit; limit != c.limit {
				t.Fatalf("the limit is %d", limit)
			}
			n := int(c.limit)/c.body + 10
			for i := range n {
				if w := g.get(fmt.Sprintf("/%d", i)); w.Code != 200 || w.Body.Len() != c.body {
					t.Fatalf("%d, %d bytes", w.Code, w.Body.Len())
				}
				if gauge, weight := g.memory().settled(); gauge != weight || weight > c.limit {
					t.Fatalf("after %d: %d bytes are told, %d are weighed, of %d", i, gauge, weight, c.limit)
				}
			}
			if _, weight := g.memory().settled(); (weight > 0) != c.stored {
				t.Fatalf("%d bytes are stored", weight)
			}
			if !c.stored {
				want(t, g.get("/0"), 200, "MISS", strings.Repeat("x", c.body))
				return
			}
			for k := range g.memory().cache.Keys() {
				want(t, g.get(k.path), 200, "HIT", strings.Repeat("x", c.body))
				break
			}
		})
	}
}

func TestWhatIsOverwrittenOrForgottenTakesNoMemory(t *testing.T) { // M25
	t.Parallel()
	size := 1000
	g := newRig(t, `{"memoryLimit":"1Mi"}`, func(w http.ResponseWriter, r *http.Request) { sized(size)(w, r) })
	defer g.close()
	g.get("/x")
	before, _ := g.memory().settled()
	if before < 1000 || before > 4000 {
		t.Fatalf("%d bytes for a body of 1000", before)
	}
	size = 2000
	g.get("/x", "Cache-Control: no-cache")
	if after, weight := g.memory().settled(); after != weight || after-before < 900 || after-before > 1100 {
		t.Errorf("%d, and then %d, %d are weighed", before, after, weight)
	}
	g.send(http.MethodDelete, "/x")
	if after, weight := g.memory().settled(); after != 0 || weight != 0 {
		t.Errorf("%d bytes are left, %d are weighed", after, weight)
	}
}

func TestVariantsOfAKeyAreBounded(t *testing.T) { // M25
	t.Parallel()
	g := newRig(t, `{"memoryLimit":"256Ki"}`, says(200, strings.Repeat("x", 1000), "Cache-Control: max-age=60", "Vary: X-A"))
	defer g.close()
	for i := range 1000 {
		g.get("/x", fmt.Sprintf("X-A: %d", i))
	}
	h := g.handler.(*handler) //nolint:forcetypeassert // a test
	r := request(t, http.MethodGet, "/x")
	own := exchangeOf(r)
	if n := len(h.memory.find(h.keyOf(r, &own)).variants); n < 2 || n > mostVariants {
		t.Errorf("%d variants", n)
	}
	want(t, g.get("/x", "X-A: 999"), 200, "HIT", strings.Repeat("x", 1000))
}

// Bodies on their way count too: many at once do not make the process grow.
func TestWhatIsRecordedAtOnceIsBounded(t *testing.T) { // M25, M5
	t.Parallel()
	goOn := make(chan struct{})
	var most sync.Once
	g := newRig(t, `{"memoryLimit":"256Ki","maxBodySize":"64Ki"}`, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", "65536")
		_, _ = w.Write(make([]byte, 32<<10))
		<-goOn
		_, _ = w.Write(make([]byte, 32<<10))
	})
	defer g.close()
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			if w := g.get(fmt.Sprintf("/%d", i)); w.Body.Len() != 64<<10 {
				t.Errorf("%d bytes", w.Body.Len())
			}
		})
	}
	until(t, "all", func() bool {
		if n := g.memory().recording.Load(); n > 256<<10 {
			most.Do(func() { t.Errorf("%d bytes are recorded", n) })
		}
		return g.hits.Load() == 100
	})
	close(goOn)
	all.Wait()
	if n := g.memory().recording.Load(); n != 0 {
		t.Errorf("%d bytes are still reserved", n)
	}
}

func TestAnswersOutliveAReload(t *testing.T) {
	t.Parallel()
	g := newRig(t, `{"maxTtl":60}`, sized(10))
	g.get("/x")
	g.compile(`{"maxTtl":60}`, sized(20))
	if w := g.get("/x"); w.Body.Len() != 10 {
		t.Error("it is forgotten at a reload")
	}
	g.compile(`{"maxTtl":61}`, sized(20))
	if w := g.get("/x"); w.Body.Len() != 20 {
		t.Error("it is kept under another rule")
	}
	g.close()
	if g.pool.Len() != 0 {
		t.Errorf("%d values are left in the pool", g.pool.Len())
	}
}

func TestMetricsTellWhatTheCacheDoes(t *testing.T) {
	t.Parallel()
	g := newRig(t, plainRule, sized(10))
	defer g.close()
	g.get("/x")
	g.get("/x")
	g.get("/x")
	g.get("/x", "Range: bytes=0-1")
	g.get("/y", "Cache-Control: only-if-cached")
	g.send(http.MethodPost, "/x")
	for _, c := range []struct {
		kind   *counter.Kind
		labels []string
		want   int64
	}{
		{metricRequests, []string{"r", "m", "hit"}, 2},
		{metricRequests, []string{"r", "m", "miss"}, 1},
		{metricRequests, []string{"r", "m", "bypass"}, 1},
		{metricRequests, []string{"r", "m", "refused"}, 1},
		{metricInvalidated, []string{"r", "m"}, 1},
		{metricBytes, []string{"m"}, 0},
	} {
		v, release := g.counter.Get(c.kind, c.labels...)
		if v.Load() != c.want {
			t.Errorf("%s %v is %d, want %d", c.kind.Name, c.labels, v.Load(), c.want)
		}
		release()
	}
}
