// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package bodylimit

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

func TestABodyPassesUpToTheLimitAndNoFurther(t *testing.T) { // M30
	t.Parallel()
	for _, c := range []struct {
		name    string
		size    int
		chunked bool
		passes  bool
	}{
		{"nothing", 0, false, true},
		{"exactly the limit", 10, false, true},
		{"one byte more", 11, false, false},
		{"exactly the limit, unsaid", 10, true, true},
		{"one byte more, unsaid", 11, true, false},
		{"far more, unsaid", 1 << 20, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			parsed, problems := parse(json.RawMessage(`{"limit":10}`))
			if parsed == nil {
				t.Fatal(problems)
			}
			var seen int
			var failure error
			hits := 0
			h, err := parsed.Handler(definition.Build{}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				hits++
				var data []byte
				data, failure = io.ReadAll(r.Body)
				seen = len(data)
			}))
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", c.size)))
			if c.chunked {
				r.ContentLength = -1
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			var tooLarge *http.MaxBytesError
			switch {
			case c.passes && (failure != nil || seen != c.size || w.Code != 200):
				t.Errorf("%d bytes, %v, status %d", seen, failure, w.Code)
			case !c.passes && c.chunked && (!errors.As(failure, &tooLarge) || seen > 10):
				t.Errorf("the backend saw %d bytes, %v", seen, failure)
			case !c.passes && !c.chunked && (hits != 0 || w.Code != 413 || !strings.Contains(w.Body.String(), "limit 10 bytes")):
				t.Errorf("%d hits, status %d %s", hits, w.Code, w.Body)
			}
		})
	}
}

func TestASizeThatIsNoneIsInvalid(t *testing.T) { // C6
	t.Parallel()
	for _, rule := range []string{"{}", `{"limit":""}`, `{"limit":"ten"}`, `{"limit":-1}`, `{"limit":"1.5M"}`} {
		if parsed, problems := parse(json.RawMessage(rule)); parsed != nil || len(problems) != 1 || problems[0].Field != "rule.limit" {
			t.Errorf("%s: %v", rule, problems)
		}
	}
}

func FuzzParse(f *testing.F) { // C10
	f.Add(`{"limit":"10Mi"}`)
	f.Fuzz(func(t *testing.T, rule string) {
		if parsed, problems := parse(json.RawMessage(rule)); (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
	})
}
