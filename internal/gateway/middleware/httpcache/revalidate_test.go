// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// changing is a backend whose answer has a version, and that knows conditions.
type changing struct {
	version, whole, unchanged atomic.Int64
	control                   string
	// goOn, if set, holds answers to questions about a version back.
	goOn chan struct{}
	// fails is a status to answer in place of all that; 0 is none.
	fails atomic.Int64
}

func (c *changing) serve(w http.ResponseWriter, r *http.Request) {
	if c.goOn != nil && r.Header.Get("If-None-Match") != "" {
		<-c.goOn
	}
	version := strconv.FormatInt(c.version.Load(), 10)
	h := w.Header()
	h.Set("Cache-Control", c.control)
	h.Set("ETag", `"`+version+`"`)
	h.Set("X-Served", strconv.FormatInt(c.whole.Load()+c.unchanged.Load()+1, 10))
	switch {
	case c.fails.Load() != 0:
		h.Del("Cache-Control")
		w.WriteHeader(int(c.fails.Load()))
		_, _ = w.Write([]byte("broken"))
	case r.Header.Get("If-None-Match") == h.Get("ETag"):
		c.unchanged.Add(1)
		w.WriteHeader(http.StatusNotModified)
	default:
		c.whole.Add(1)
		_, _ = w.Write([]byte("version " + version))
	}
}

func TestAStaleAnswerIsAskedAbout(t *testing.T) { // M26
	t.Parallel()
	c := &changing{control: "max-age=10"}
	inBubble(t, plainRule, c.serve, func(t *testing.T, g *rig) {
		want(t, g.get("/x"), 200, "MISS", "version 0")
		time.Sleep(11 * time.Second)
		w := g.get("/x")
		want(t, w, 200, "REVALIDATED", "version 0")
		if w.Header().Get("X-Served") != "2" || w.Header().Get("Age") != "0" {
			t.Errorf("the header is not that of the news: %v", w.Header())
		}
		want(t, g.get("/x"), 200, "HIT", "version 0")
		time.Sleep(11 * time.Second)
		c.version.Add(1)
		want(t, g.get("/x"), 200, "MISS", "version 1")
		want(t, g.get("/x"), 200, "HIT", "version 1")
		if c.whole.Load() != 2 || c.unchanged.Load() != 1 {
			t.Errorf("%d whole answers, %d unchanged", c.whole.Load(), c.unchanged.Load())
		}
	})
}

func TestNoCacheIsAskedAboutEachTime(t *testing.T) { // M24
	t.Parallel()
	c := &changing{control: "no-cache"}
	inBubble(t, plainRule, c.serve, func(t *testing.T, g *rig) {
		want(t, g.get("/x"), 200, "MISS", "version 0")
		want(t, g.get("/x"), 200, "REVALIDATED", "version 0")
		c.version.Add(1)
		want(t, g.get("/x"), 200, "MISS", "version 1")
	})
}

func TestAClientIsToldThatItHasTheAnswer(t *testing.T) { // M26
	t.Parallel()
	inBubble(t, plainRule, says(200, "body", "Cache-Control: max-age=60", `ETag: "a"`, "Last-Modified: Fri, 31 Dec 1999 00:00:00 GMT", "Content-Type: text/plain"), func(t *testing.T, g *rig) {
		want(t, g.get("/x", `If-None-Match: "a"`), 304, "MISS", "") // and it is stored all the same
		time.Sleep(5 * time.Second)
		for _, c := range []struct {
			condition string
			status    int
		}{
			{`If-None-Match: "a"`, 304},
			{`If-None-Match: W/"a"`, 304},
			{`If-None-Match: "b", "a"`, 304},
			{`If-None-Match: *`, 304},
			{`If-None-Match: "b"`, 200},
			{`If-None-Match: a`, 200},
			{"If-Modified-Since: Fri, 31 Dec 1999 00:00:00 GMT", 304},
			{"If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT", 304},
			{"If-Modified-Since: Thu, 30 Dec 1999 00:00:00 GMT", 200},
			{"If-Modified-Since: yesterday", 200},
		} {
			w := g.get("/x", c.condition)
			body := "body"
			if c.status == 304 {
				body = ""
				if len(w.Header()["Content-Length"])+len(w.Header()["Content-Type"]) > 0 {
					t.Errorf("%s: %v", c.condition, w.Header())
				}
			}
			want(t, w, c.status, "HIT", body)
			if w.Header().Get("Age") != "5" || w.Header().Get("ETag") != `"a"` {
				t.Errorf("%s: %v", c.condition, w.Header())
			}
		}
		if g.hits.Load() != 1 {
			t.Errorf("the backend is asked %d times", g.hits.Load())
		}
	})
}

func TestErrorsAreReplacedOnlyWhereTheBackendAllows(t *testing.T) { // M26
	t.Parallel()
	for _, c := range []struct {
		name, control, asked string
		status               int
		cache, body          string
	}{
		{"allowed", "max-age=10, stale-if-error=60", "", 200, "STALE", "version 0"},
		{"allowed by the client", "max-age=10", "Cache-Control: stale-if-error=60", 200, "STALE", "version 0"},
		{"not for so long", "max-age=10, stale-if-error=1", "", 503, "MISS", "broken"},
		{"not at all", "max-age=10", "", 503, "MISS", "broken"},
		{"forbidden", "max-age=10, stale-if-error=60, must-revalidate", "", 503, "MISS", "broken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := &changing{control: c.control}
			inBubble(t, plainRule, b.serve, func(t *testing.T, g *rig) {
				g.get("/x")
				time.Sleep(15 * time.Second)
				b.fails.Store(503)
				want(t, g.get("/x", c.asked), c.status, c.cache, c.body)
				b.fails.Store(0)
				want(t, g.get("/x"), 200, "REVALIDATED", "version 0")
			})
		})
	}
}

func TestAStaleAnswerIsRenewedInTheBackground(t *testing.T) { // M26
	t.Parallel()
	c := &changing{control: "max-age=10, stale-while-revalidate=60"}
	inBubble(t, plainRule, c.serve, func(t *testing.T, g *rig) {
		g.get("/x")
		c.version.Add(1)
		time.Sleep(11 * time.Second)
		c.goOn = make(chan struct{})
		for range 100 {
			want(t, g.get("/x"), 200, "STALE", "version 0")
		}
		close(c.goOn)
		synctest.Wait()
		want(t, g.get("/x"), 200, "HIT", "version 1")
		if c.whole.Load() != 2 {
			t.Errorf("%d whole answers", c.whole.Load())
		}
	})
}

func TestHeadIsAnsweredFromGet(t *testing.T) {
	t.Parallel()
	inBubble(t, plainRule, says(200, "body", "Cache-Control: max-age=60"), func(t *testing.T, g *rig) {
		if w := g.send(http.MethodHead, "/x"); w.Header().Get("X-Cache-Status") != "MISS" {
			t.Errorf("%v", w.Header())
		}
		want(t, g.get("/x"), 200, "MISS", "body") // a HEAD stores nothing
		w := g.send(http.MethodHead, "/x")
		want(t, w, 200, "HIT", "")
		if w.Header().Get("Content-Length") != "4" {
			t.Errorf("%v", w.Header())
		}
	})
}

func TestAClientMayWantNothingButTheCache(t *testing.T) {
	t.Parallel()
	inBubble(t, plainRule, says(200, "body", "Cache-Control: max-age=60"), func(t *testing.T, g *rig) {
		if w := g.get("/x", "Cache-Control: only-if-cached"); w.Code != http.StatusGatewayTimeout || w.Body.Len() == 0 || g.hits.Load() != 0 {
			t.Errorf("%d %q, %d requests of the backend", w.Code, w.Body, g.hits.Load())
		}
		g.get("/x")
		want(t, g.get("/x", "Cache-Control: only-if-cached"), 200, "HIT", "body")
	})
}

func TestStatusAndHeaderAreReplayedAsTheyWere(t *testing.T) { // M26
	t.Parallel()
	inBubble(t, `{"cacheableStatusCodes":[203,404]}`, says(404, "gone", "Cache-Control: max-age=60", "X-A: 1", "X-A: 2", "Date: Sat, 01 Jan 2000 00:00:00 GMT", "Link: </a>"), func(t *testing.T, g *rig) {
		first := g.get("/x")
		time.Sleep(7 * time.Second)
		w := g.get("/x")
		want(t, w, 404, "HIT", "gone")
		h := w.Header()
		if len(h["X-A"]) != 2 || h.Get("Date") != "Sat, 01 Jan 2000 00:00:00 GMT" || h.Get("Age") != "7" || h.Get("Cache-Control") != "max-age=60" {
			t.Errorf("%v", h)
		}
		if h.Get("Cache-Status") != "goma; hit; ttl=53" || first.Header().Get("Cache-Status") != "goma; fwd=uri-miss; stored" || h.Get("X-Goma-Cache-Max-Age") != "60" {
			t.Errorf("%v, and first %v", h, first.Header())
		}
	})
}

func TestTheRuleTellsClientsHowLongWhereTheBackendDoesNot(t *testing.T) {
	t.Parallel()
	inBubble(t, `{"maxTtl":20}`, says(200, "body"), func(t *testing.T, g *rig) {
		for range 2 {
			if got := g.get("/x").Header().Get("Cache-Control"); got != "public, max-age=20" {
				t.Errorf("%q", got)
			}
		}
	})
	inBubble(t, `{"maxTtl":20,"disableCacheStatusHeader":true}`, says(200, "body"), func(t *testing.T, g *rig) {
		for i := range 2 {
			h := g.get("/x").Header()
			if len(h["Cache-Control"])+len(h["X-Cache-Status"])+len(h["Cache-Status"]) > 0 || i == 1 && h.Get("X-Goma-Cache") != "HIT" {
				t.Errorf("%v", h)
			}
		}
	})
}
