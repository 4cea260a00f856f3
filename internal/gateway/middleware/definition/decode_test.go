// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package definition

import (
	"encoding/json"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

type settings struct {
	Count   int             `json:"count"`
	Enabled *bool           `json:"enabled"`
	Wait    config.Duration `json:"wait"`
	Names   []string        `json:"names"`
	Headers map[string]Text `json:"headers"`
	Nested  *nested         `json:"nested"`
	List    []nested        `json:"list"`
}

type nested struct {
	Secret Text `json:"secret"`
	Deep   struct {
		Size int `json:"size"`
	} `json:"deep"`
}

func TestAValueOfTheWrongTypeNamesItsField(t *testing.T) { // C5, C8
	t.Parallel()
	for _, c := range []struct{ name, rule, field, says string }{
		{"text for a number", `{"count":"hush"}`, "rule.count", "is text, but must be a whole number"},
		{"a fraction", `{"count":1.5}`, "rule.count", "is a number, but must be a whole number"},
		{"text for a switch", `{"enabled":"yes"}`, "rule.enabled", "must be true or false"},
		{"text for a list", `{"names":"hush"}`, "rule.names", "is text, but must be a list"},
		{"a number in a list of texts", `{"names":["a",2]}`, "rule.names[1]", "is a number, but must be text"},
		{"a list for a header", `{"headers":{"A":"1","B":["hush"]}}`, "rule.headers.B", "must be text"},
		{"no duration", `{"wait":"soon"}`, "rule.wait", "30s"},
		{"a list for an object", `{"nested":["hush"]}`, "rule.nested", "is a list, but must be an object"},
		{"below an object", `{"nested":{"deep":{"size":{}}}}`, "rule.nested.deep.size", "is an object, but must be a whole number"},
		{"below a list", `{"list":[{},{"secret":["hush"]}]}`, "rule.list[1].secret", "must be text"},
		{"a rule that is a list", `["hush"]`, "rule", "must be an object"},
		{"a rule that is not JSON", `{"hush`, "rule", "must be an object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			problems := Decode(json.RawMessage(c.rule), new(settings))
			if len(problems) != 1 || !config.HasErrors(problems) || problems[0].Field != c.field || !strings.Contains(problems[0].Message, c.says) {
				t.Fatalf("want an error of %s that says %q, got %v", c.field, c.says, problems)
			}
			if strings.Contains(problems[0].Message, "hush") {
				t.Fatalf("the value is repeated: %s", problems[0].Message)
			}
		})
	}
}

func TestAKeyThatNobodyReadsIsAWarningWithTheNearestOne(t *testing.T) { // C6
	t.Parallel()
	for rule, want := range map[string][2]string{
		`{"cuont":1}`:                      {"rule.cuont", "did you mean count?"},
		`{"nested":{"sercet":"a"}}`:        {"rule.nested.sercet", "did you mean secret?"},
		`{"list":[{},{"deep":{"siz":1}}]}`: {"rule.list[1].deep.siz", "did you mean size?"},
		`{"entirely":1}`:                   {"rule.entirely", "count, enabled, headers, list, names, nested, wait"},
	} {
		problems := Decode(json.RawMessage(rule), new(settings))
		if len(problems) != 1 || config.HasErrors(problems) || problems[0].Field != want[0] || !strings.Contains(problems[0].Message, want[1]) {
			t.Errorf("%s: %v", rule, problems)
		}
	}
}

func TestWhatIsReadIsNotWarnedOf(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{
		``, ` null `, `{}`, `{"COUNT":1,"Enabled":false}`, `{"nested":null,"list":null,"names":[]}`,
		`{"headers":{"anything":1,"goes":true,"here":"x"},"wait":5,"nested":{"secret":1234,"deep":{"size":1}}}`,
	} {
		if problems := Decode(json.RawMessage(rule), new(settings)); len(problems) != 0 {
			t.Errorf("%s: %v", rule, problems)
		}
	}
}

func TestATextIsKeptAsItIsWritten(t *testing.T) { // C3
	t.Parallel()
	var s settings
	if problems := Decode(json.RawMessage(`{"headers":{"a":0123e1,"b":1}}`), &s); !config.HasErrors(problems) {
		t.Errorf("a broken number is read: %v", s.Headers)
	}
	s = settings{}
	if problems := Decode(json.RawMessage(`{"headers":{"a":1.50,"b":false,"c":null,"d":"x","e":9007199254740993}}`), &s); len(problems) != 0 {
		t.Fatal(problems)
	}
	for name, want := range map[string]Text{"a": "1.50", "b": "false", "c": "", "d": "x", "e": "9007199254740993"} {
		if got := s.Headers[name]; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) { // C10
	f.Add(`{"count":"1","list":[{"deep":[]}],"headers":{"a":[1]}}`)
	f.Add(`{"a":{"b":[[[[[]]]]]},"nested":7}`)
	f.Fuzz(func(t *testing.T, rule string) {
		for _, p := range Decode(json.RawMessage(rule), new(settings)) {
			if !strings.HasPrefix(p.Field, "rule") || p.Message == "" {
				t.Fatalf("%+v", p)
			}
		}
	})
}
