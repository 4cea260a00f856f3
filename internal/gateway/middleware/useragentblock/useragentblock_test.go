// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package useragentblock

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

func TestClientsAreRefusedByAnyPartOfTheirName(t *testing.T) { // M4, M20
	t.Parallel()
	parsed, problems := parse(json.RawMessage(`{"userAgents":["BadBot","scanner/1", 7]}`))
	if parsed == nil {
		t.Fatal(problems)
	}
	hits := 0
	h, err := parsed.Handler(definition.Build{}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ }))
	if err != nil {
		t.Fatal(err)
	}
	for agent, refused := range map[string]bool{
		"badbot": true, "Mozilla/5.0 (compatible; BADBOT/2.1)": true, "SCANNER/1.0": true, "agent 7": true,
		"Mozilla/5.0": false, "bad bot": false, "": false,
	} {
		hits = 0
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["User-Agent"] = []string{"first", agent}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if (w.Code == http.StatusForbidden) != refused || (hits == 0) != refused {
			t.Errorf("%q: status %d, %d hits", agent, w.Code, hits)
		}
	}
}

func TestARuleThatWouldRefuseEverybodyIsInvalid(t *testing.T) { // C6
	t.Parallel()
	for rule, field := range map[string]string{
		"{}": "rule.userAgents", `{"userAgents":[]}`: "rule.userAgents", `{"userAgents":["a"," "]}`: "rule.userAgents[1]",
	} {
		if parsed, problems := parse(json.RawMessage(rule)); parsed != nil || len(problems) != 1 || problems[0].Field != field {
			t.Errorf("%s: %v", rule, problems)
		}
	}
}

func FuzzParse(f *testing.F) { // C10
	f.Add(`{"userAgents":["bot"]}`)
	f.Fuzz(func(t *testing.T, rule string) {
		if parsed, problems := parse(json.RawMessage(rule)); (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
	})
}
