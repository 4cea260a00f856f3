// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// waiters is how many wait for the flights of a rig.
func (g *rig) waiters() (n int) {
	s := g.handler.(*handler).flights //nolint:forcetypeassert // a test
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.m {
		n += f.waiting
	}
	return n
}

// until waits for something that happens in another goroutine.
func until(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for range 6000 {
		if happened() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("in vain for %s", what)
}

// together sends many requests at once, and gives their answers.
func (g *rig) together(n int, lines func(i int) []string) (wait func() []*httptest.ResponseRecorder) {
	answers := make([]*httptest.ResponseRecorder, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			var l []string
			if lines != nil {
				l = lines(i)
			}
			answers[i] = g.get("/x", l...)
		})
	}
	return func() []*httptest.ResponseRecorder {
		all.Wait()
		return answers
	}
}

func TestAThousandMissesAreOneRequest(t *testing.T) { // M26
	t.Parallel()
	goOn := make(chan struct{})
	g := newRig(t, plainRule, func(w http.ResponseWriter, r *http.Request) {
		<-goOn
		says(200, "body", "Cache-Control: max-age=60")(w, r)
	})
	defer g.close()
	wait := g.together(1000, nil)
	until(t, "999 that wait", func() bool { return g.waiters() == 999 })
	close(goOn)
	served := map[string]int{}
	for _, w := range wait() {
		if w.Code != 200 || w.Body.String() != "body" {
			t.Fatalf("%d %q", w.Code, w.Body)
		}
		served[w.Header().Get("Cache-Status")]++
	}
	if g.hits.Load() != 1 || served["goma; fwd=uri-miss; stored"] != 1 || served["goma; fwd=uri-miss; collapsed"] != 999 {
		t.Errorf("%d requests of the backend: %v", g.hits.Load(), served)
	}
}

func TestWhoWaitsForNothingIsFreedAtTheHead(t *testing.T) { // M26
	t.Parallel()
	const n = 50
	goOn, end := make(chan struct{}), make(chan struct{})
	var under atomic.Int32
	g := newRig(t, plainRule, func(w http.ResponseWriter, _ *http.Request) {
		if under.Add(1) == 1 {
			<-goOn
		}
		w.Header().Set("Cache-Control", "private")
		_ = http.NewResponseController(w).Flush()
		<-end // no answer ends before all have begun
	})
	defer g.close()
	wait := g.together(n, nil)
	until(t, "all to wait", func() bool { return g.waiters() == n-1 })
	close(goOn)
	until(t, "all to be served at once", func() bool { return under.Load() == n })
	close(end)
	wait()
	// And who comes now does not wait for the next head.
	h := g.handler.(*handler) //nolint:forcetypeassert // a test
	x := request(t, http.MethodGet, "/x")
	own := exchangeOf(x)
	q := question{key: h.keyOf(x, &own), header: x.Header}
	if !h.memory.find(q.key).passes(false, time.Now()) || h.memory.find(q.key).passes(true, time.Now()) {
		t.Error("it is not remembered that there is nothing to wait for")
	}
}

func TestEachVariantIsOneRequest(t *testing.T) { // M26
	t.Parallel()
	const n = 90
	goOn := make(chan struct{})
	g := newRig(t, plainRule, func(w http.ResponseWriter, r *http.Request) {
		<-goOn
		says(200, r.Header.Get("Accept-Language"), "Cache-Control: max-age=60", "Vary: Accept-Language")(w, r)
	})
	defer g.close()
	languages := []string{"de", "en", "fr"}
	wait := g.together(n, func(i int) []string { return []string{"Accept-Language: " + languages[i%3]} })
	until(t, "all to wait", func() bool { return g.waiters() == n-1 })
	close(goOn)
	for i, w := range wait() {
		if w.Body.String() != languages[i%3] {
			t.Fatalf("%q for %s", w.Body, languages[i%3])
		}
	}
	if g.hits.Load() != 3 {
		t.Errorf("%d requests of the backend for three variants", g.hits.Load())
	}
}

func TestNobodyGetsWhatWasForSomebody(t *testing.T) { // M24
	t.Parallel()
	const n = 40
	goOn := make(chan struct{})
	g := newRig(t, plainRule, func(w http.ResponseWriter, r *http.Request) {
		<-goOn
		says(200, r.Header.Get("Cookie"), "Cache-Control: max-age=60", "Set-Cookie: seen=1")(w, r)
	})
	defer g.close()
	wait := g.together(n, func(i int) []string { return []string{"Cookie: user=" + strconv.Itoa(i)} })
	until(t, "all to wait", func() bool { return g.waiters() == n-1 })
	close(goOn)
	for i, w := range wait() {
		if w.Body.String() != "user="+strconv.Itoa(i) {
			t.Errorf("%d got %q", i, w.Body)
		}
	}
	if g.hits.Load() != n {
		t.Errorf("%d requests of the backend", g.hits.Load())
	}
}

func TestARequestGoesOnForThoseWhoWaitWhenItsClientLeaves(t *testing.T) { // M26
	t.Parallel()
	goOn := make(chan struct{})
	g := newRig(t, plainRule, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-goOn:
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
		says(200, "body", "Cache-Control: max-age=60")(w, r)
	})
	defer g.close()
	ctx, leave := context.WithCancel(t.Context())
	first := request(t, http.MethodGet, "/x")
	var all sync.WaitGroup
	all.Go(func() {
		g.handler.ServeHTTP(httptest.NewRecorder(), first.WithContext(exchangeWith(ctx, first)))
	})
	until(t, "the first", func() bool { return g.hits.Load() == 1 })
	wait := g.together(10, nil)
	until(t, "the others", func() bool { return g.waiters() == 10 })
	leave()
	close(goOn)
	for _, w := range wait() {
		want(t, w, 200, "HIT", "body")
	}
	all.Wait()
	if g.hits.Load() != 1 {
		t.Errorf("%d requests of the backend", g.hits.Load())
	}
}

func TestARequestForWhichNobodyWaitsEndsWithItsClient(t *testing.T) { // H11
	t.Parallel()
	ended := make(chan struct{})
	g := newRig(t, plainRule, func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(ended)
		panic(http.ErrAbortHandler)
	})
	defer g.close()
	ctx, leave := context.WithCancel(t.Context())
	r := request(t, http.MethodGet, "/x")
	var all sync.WaitGroup
	all.Go(func() {
		defer func() { _ = recover() }()
		g.handler.ServeHTTP(httptest.NewRecorder(), r.WithContext(exchangeWith(ctx, r)))
	})
	until(t, "the request", func() bool { return g.hits.Load() == 1 })
	leave()
	<-ended
	all.Wait()
}

// A client that reads nothing holds up nobody else.
func TestASlowClientHoldsUpNobody(t *testing.T) { // M26
	t.Parallel()
	body := make([]byte, 1<<20)
	g := newRig(t, plainRule, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		for range 16 {
			_, _ = w.Write(body[:len(body)/16])
		}
	})
	defer g.close()
	blocked := &stuck{ResponseRecorder: httptest.NewRecorder(), writes: make(chan struct{}), goOn: make(chan struct{})}
	var all sync.WaitGroup
	all.Go(func() { g.handler.ServeHTTP(blocked, request(t, http.MethodGet, "/x")) })
	<-blocked.writes
	if w := g.get("/x"); w.Body.Len() != len(body) || w.Header().Get("X-Cache-Status") != "HIT" {
		t.Errorf("%d bytes, %v", w.Body.Len(), w.Header())
	}
	close(blocked.goOn)
	all.Wait()
	if blocked.Body.Len() != len(body) {
		t.Errorf("the slow one got %d bytes", blocked.Body.Len())
	}
}

// stuck is a client that takes nothing before it may.
type stuck struct {
	*httptest.ResponseRecorder

	once         sync.Once
	writes, goOn chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.writes) })
	<-s.goOn
	return s.ResponseRecorder.Write(p)
}

func TestOnlyWhatIsCompleteIsStored(t *testing.T) { // M26
	t.Parallel()
	for _, c := range []struct {
		name  string
		serve http.HandlerFunc
	}{
		{"an abort", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		}},
		{"less than was said", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "8")
			_, _ = io.WriteString(w, "half")
		}},
		{"trailers that were not announced", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			w.Header().Set(http.TrailerPrefix+"X-Sum", "1")
		}},
		{"more than may be kept, as is said", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1025")
			_, _ = w.Write(make([]byte, 1025))
		}},
		{"more than may be kept, as is found", func(w http.ResponseWriter, _ *http.Request) {
			for range 1025 {
				_, _ = w.Write([]byte{0})
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, `{"maxBodySize":"1Ki"}`, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				c.serve(w, r)
			})
			defer g.close()
			for range 2 {
				func() {
					defer func() { _ = recover() }()
					if w := g.get("/x"); w.Body.Len() != 4 && w.Body.Len() != 1025 {
						t.Errorf("%d bytes", w.Body.Len())
					}
				}()
			}
			if g.hits.Load() != 2 {
				t.Error("it is stored")
			}
			if n := g.memory().recording.Load(); n != 0 {
				t.Errorf("%d bytes are still reserved", n)
			}
		})
	}
}
