// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

func TestOfSeveralResponseHeadersTheMostSpecificHasTheLastWord(t *testing.T) {
	t.Parallel()
	for _, order := range [][]string{{"wide", "narrow"}, {"narrow", "wide"}} {
		b := newBench(t)
		c := cfg(newRoute("a", "/", order...))
		wide := newMiddleware("wide", "responseHeaders", `{"setHeaders":{"X-A":"wide"}}`)
		narrow := newMiddleware("narrow", "responseHeaders", `{"setHeaders":{"X-A":"narrow"}}`)
		narrow.Paths = []string{"/docs"}
		c.Middlewares = append(c.Middlewares, wide, narrow)
		b.apply(c)
		for path, want := range map[string]string{"/docs/x": "narrow", "/y": "wide"} {
			r := httptest.NewRequest(http.MethodGet, "http://h"+path, nil)
			w := httptest.NewRecorder()
			b.live.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), &exchange.Exchange{Host: "h", Path: path, Scheme: "http"})))
			if got := w.Header().Get("X-A"); got != want {
				t.Errorf("%v: %s has %q, want %q", order, path, got, want)
			}
		}
	}
}

// U3: what a request passes on its way to the backend counts it once, wherever the
// middleware that repeats it stands in the list.
func TestARequestThatIsRepeatedCountsOnce(t *testing.T) {
	t.Parallel()
	for _, names := range [][]string{{"again", "door", "limit"}, {"door", "limit", "again"}} {
		b := newBench(t)
		attempts := 0
		b.backend["a"] = func(*config.Route) (Backend, []config.Problem) {
			return Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if attempts++; attempts%3 != 0 {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
			})}, nil
		}
		r := newRoute("a", "/a")
		r.Middlewares = names
		c := cfg(r)
		c.Middlewares = []*config.Middleware{
			{Name: "again", Type: "retry", Rule: []byte(`{"backoff":0,"maxBackoff":0}`)},
			{Name: "door", Type: "basicAuth", Rule: []byte(`{"users":["ann:a"]}`)},
			{Name: "limit", Type: "rateLimit", Rule: []byte(`{"requestsPerUnit":2,"unit":"hour"}`)},
		}
		b.apply(c)
		ann := func(r *http.Request) { r.SetBasicAuth("ann", "a") }
		for i, want := range []int{200, 200, 429} {
			if w, _ := b.do("GET", "http://h/a", ann); w.Code != want {
				t.Errorf("%v: request %d: status %d, want %d", names, i+1, w.Code, want)
			}
		}
		if w, _ := b.do("GET", "http://h/a"); w.Code != 401 || attempts != 6 {
			t.Errorf("%v: status %d for a stranger, and %d attempts", names, w.Code, attempts)
		}
	}
}
