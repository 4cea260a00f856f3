// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"io"
	"net/http"
	"testing"
)

func TestAChangeIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, method, target string
		status               int
		answer               []string
		forgotten            bool
	}{
		{"POST", http.MethodPost, "/x", 200, nil, true},
		{"PUT", http.MethodPut, "/x", 204, nil, true},
		{"DELETE", http.MethodDelete, "/x", 202, nil, true},
		{"PATCH", http.MethodPatch, "/x", 302, nil, true},
		{"a method that nobody knows", "PURGE", "/x", 200, nil, true},
		{"one that fails", http.MethodPost, "/x", 400, nil, false},
		{"one that fails at the backend", http.MethodPost, "/x", 500, nil, false},
		{"one elsewhere", http.MethodPost, "/y", 200, nil, false},
		{"one with another query", http.MethodPost, "/x?page=2", 200, nil, false},
		{"one that tells of it by Location", http.MethodPost, "/y", 201, []string{"Location: /x"}, true},
		{"one that tells of it by Content-Location", http.MethodPost, "/y/z", 200, []string{"Content-Location: ../x"}, true},
		{"one that tells of another host", http.MethodPost, "/y", 201, []string{"Location: http://b.test/x"}, false},
		{"one that tells of its own", http.MethodPost, "/y", 201, []string{"Location: http://a.test/x"}, true},
		{"OPTIONS", http.MethodOptions, "/x", 200, nil, false},
		{"from a client that would shape the answer", http.MethodPost, "/x", 200, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, plainRule, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					says(200, "body", "Cache-Control: max-age=60")(w, r)
					return
				}
				says(c.status, "", c.answer...)(w, r)
			})
			defer g.close()
			const base = "http://a.test"
			g.get(base + "/x")
			var lines []string
			if c.name == "from a client that would shape the answer" {
				lines = append(lines, "X-Original-Url: /z")
			}
			if w := g.send(c.method, base+c.target, lines...); w.Code != c.status {
				t.Fatalf("status %d", w.Code)
			}
			expected := "HIT"
			if c.forgotten {
				expected = "MISS"
			}
			want(t, g.get(base+"/x"), 200, expected, "body")
		})
	}
}

// An answer that was asked for before a change tells of before.
func TestAnAnswerOfBeforeAChangeIsNotStored(t *testing.T) { // M24
	t.Parallel()
	asked, changed := make(chan struct{}), make(chan struct{})
	g := newRig(t, plainRule, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if r.Method == http.MethodGet && r.Header.Get("X-Slow") != "" {
			close(asked)
			<-changed
			_, _ = io.WriteString(w, "before")
			return
		}
		_, _ = io.WriteString(w, "after")
	})
	defer g.close()
	slow := make(chan struct{})
	go func() {
		defer close(slow)
		g.get("/x", "X-Slow: 1")
	}()
	<-asked
	g.send(http.MethodPut, "/x")
	want(t, g.get("/x"), 200, "MISS", "after") // it waits for no answer of before
	close(changed)
	<-slow
	want(t, g.get("/x"), 200, "HIT", "after")
}
