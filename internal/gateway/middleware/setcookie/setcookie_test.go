// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package setcookie

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

func TestCookiesStandBesideThoseOfTheBackend(t *testing.T) { // H8
	t.Parallel()
	shared := make([]string, 1, 8)
	shared[0] = "backend=1"
	for name, c := range map[string]struct {
		backend http.HandlerFunc
		want    []string
	}{
		"a backend with a cookie": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Set-Cookie"] = shared
			w.WriteHeader(http.StatusTeapot)
		}, []string{"backend=1", "ours=1"}},
		"a backend that only writes": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }, []string{"ours=1"}},
		"a backend that only flushes": {func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush()
		}, []string{"ours=1"}},
		"a backend that does nothing": {func(http.ResponseWriter, *http.Request) {}, []string{"ours=1"}},
		"a backend that hints first": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusOK)
			_, _ = io.WriteString(w, "x")
		}, []string{"ours=1"}},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { Serve(c.backend, w, r, []string{"ours=1"}) }))
		resp, err := http.Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		s.Close()
		if got := resp.Header["Set-Cookie"]; !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	if len(shared) != 1 || shared[:2][1] != "" {
		t.Error("the answer of the backend is written to")
	}
}
