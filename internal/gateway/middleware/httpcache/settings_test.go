// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"encoding/json"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

func TestMistakesAreToldByTheirField(t *testing.T) {
	t.Parallel()
	for rule, field := range map[string]string{
		`{"maxTtl":-1}`:                            "rule.maxTtl",
		`{"maxTtl":"5m"}`:                          "rule.maxTtl",
		`{"defaultTtl":-1}`:                        "rule.defaultTtl",
		`{"maxStale":-1}`:                          "rule.maxStale",
		`{"memoryLimit":"lots"}`:                   "rule.memoryLimit",
		`{"memoryLimit":-1}`:                       "rule.memoryLimit",
		`{"maxBodySize":"1.5Mi"}`:                  "rule.maxBodySize",
		`{"cacheableStatusCodes":[200,99]}`:        "rule.cacheableStatusCodes[1]",
		`{"excludedResponseCodes":["5xx"]}`:        "rule.excludedResponseCodes[0]",
		`{"excludedResponseCodes":["599-500"]}`:    "rule.excludedResponseCodes[0]",
		`{"excludedResponseCodes":["404","-500"]}`: "rule.excludedResponseCodes[1]",
		`{"queryParamsToCache":["a",""]}`:          "rule.queryParamsToCache[1]",
		`{"onStoreFailure":"panic"}`:               "rule.onStoreFailure",
	} {
		r, problems := parse(json.RawMessage(rule))
		if r != nil || !config.HasErrors(problems) || problems[0].Field != field {
			t.Errorf("%s: %v %v", rule, r, problems)
		}
	}
}

func TestWhatHasNoEffectIsTold(t *testing.T) {
	t.Parallel()
	for rule, field := range map[string]string{
		`{"includeQueryInKey":false,"queryParamsToCache":["a"]}`: "rule.queryParamsToCache",
		`{"memoryLimit":100}`: "rule.memoryLimit",
		`{"memorylimits":1}`:  "rule.memorylimits",
	} {
		r, problems := parse(json.RawMessage(rule))
		if r == nil || config.HasErrors(problems) || len(problems) != 1 || problems[0].Field != field {
			t.Errorf("%s: %v", rule, problems)
		}
	}
}

func TestStatusesThatAreKept(t *testing.T) { // M26
	t.Parallel()
	for _, c := range []struct {
		rule    string
		kept    []int
		refused []int
	}{
		{`{}`, []int{200, 203, 204, 300, 303}, []int{100, 101, 206, 301, 302, 304, 307, 308, 400, 404, 406, 410, 500, 600, 0, -1}},
		{`{"excludedResponseCodes":[204,"300-399"]}`, []int{200, 203}, []int{204, 206, 300, 301, 399, 404}},
		{`{"excludedResponseCodes":[]}`, []int{200, 301, 302}, []int{206, 304, 404}},
		{`{"cacheableStatusCodes":[200,206,301,304,404,500]}`, []int{200, 301, 404, 500}, []int{201, 206, 304}},
		{`{"cacheableStatusCodes":[200,404],"excludedResponseCodes":["400 - 499"]}`, []int{200}, []int{404}},
	} {
		r := parsed(t, c.rule)
		for _, status := range c.kept {
			if !r.kept.has(status) {
				t.Errorf("%s: %d is not kept", c.rule, status)
			}
		}
		for _, status := range c.refused {
			if r.kept.has(status) {
				t.Errorf("%s: %d is kept", c.rule, status)
			}
		}
	}
}

func TestQueriesAreComparedByName(t *testing.T) { // M24
	t.Parallel()
	for _, c := range []struct{ rule, query, want string }{
		{`{}`, "page=2", "page=2"},
		{`{}`, "b=1&a=2&a=1", "a=2&a=1&b=1"},
		{`{}`, "a=1&b=2", "a=1&b=2"},
		{`{"includeQueryInKey":true}`, "b&a", "a&b"},
		{`{"includeQueryInKey":false}`, "b&a", ""},
		{`{"queryParamsToCache":["a","c d"]}`, "b=1&c%20d=1&a=2&c+d=2", "a=2&c%20d=1&c+d=2"},
		{`{"queryParamsToCache":["a"]}`, "b=1", ""},
	} {
		if got := parsed(t, c.rule).query.of(c.query); got != c.want {
			t.Errorf("%s: %q becomes %q, want %q", c.rule, c.query, got, c.want)
		}
	}
}

func TestWithoutPathsNothingIsKept(t *testing.T) {
	t.Parallel()
	g := newRig(t, `{"maxTtl":60}`, says(200, "body"))
	defer g.close()
	b := g.handler.(*handler) //nolint:forcetypeassert // a test
	h, err := parsed(t, `{"maxTtl":60}`).Handler(emptyBuild(g), b.next)
	if err != nil {
		t.Fatal(err)
	}
	g.handler = h
	for range 2 {
		want(t, g.get("/x"), 200, "", "body")
	}
}

func FuzzStatusRange(f *testing.F) {
	f.Add("404")
	f.Add("500 - 599")
	f.Add("-")
	f.Fuzz(func(t *testing.T, text string) {
		if first, last, ok := statusRange(text); ok && (first < 100 || last > 599 || first > last) {
			t.Errorf("%q is %d to %d", text, first, last)
		}
	})
}
