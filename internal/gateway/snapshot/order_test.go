// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"net/http"
	"net/http/httptest"
	"testing"

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
