// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package counter

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

var denied = &Kind{Name: "denied_total", Help: "Refusals. One series for each middleware.", Labels: []string{"middleware"}}

func scrape(t *testing.T, s *Set) string {
	t.Helper()
	registry := prometheus.NewRegistry()
	if err := registry.Register(s); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

func TestASeriesLivesAsLongAsSomebodyCountsInIt(t *testing.T) {
	t.Parallel()
	s := New()
	a, dropA := s.Get(denied, "a")
	again, dropAgain := s.Get(denied, "a")
	b, _ := s.Get(denied, "b")
	up, _ := s.Get(&Kind{Name: "up", Help: "Whether it works. One series.", Gauge: true})
	a.Add()
	again.Add()
	b.Add()
	up.Set(1)
	up.Set(0)
	text := scrape(t, s)
	for _, want := range []string{`denied_total{middleware="a"} 2`, `denied_total{middleware="b"} 1`, "# TYPE up gauge", "up 0"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	dropA()
	dropA()
	if text := scrape(t, s); !strings.Contains(text, `middleware="a"} 2`) {
		t.Errorf("a series ended under its user:\n%s", text)
	}
	dropAgain()
	if text := scrape(t, s); strings.Contains(text, `middleware="a"`) {
		t.Errorf("a series stayed:\n%s", text)
	}
}

func TestWithoutASetNothingIsLost(t *testing.T) {
	t.Parallel()
	var s *Set
	v, drop := s.Get(denied, "a")
	v.Add()
	drop()
	if v.Load() != 1 {
		t.Error(v.Load())
	}
}
