// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"testing"
)

var secretFields = []string{"secret", "users[].password", "store.pass"}

func TestARuleIsFilledWithTheValuesOfSecrets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, rule, want string }{
		{"a field", `{"secretFrom":{"secretKeyRef":{"name":"s","key":"k"}},"n":1.50}`, `{"n":1.50,"secret":"<secret s/k>"}`},
		{"a field below another", `{"store":{"passFrom":{"secretKeyRef":{"name":"s","key":"k"}}}}`, `{"store":{"pass":"<store.pass s/k>"}}`},
		{"some of a list", `{"users":["a:b",{"username":"c","password":"d"},{"username":"e","passwordFrom":{"secretKeyRef":{"name":"s","key":"k"}}}]}`,
			`{"users":["a:b",{"password":"d","username":"c"},{"password":"<users[2].password s/k>","username":"e"}]}`},
		{"keys in another case, which the types read too", `{"SECRETfrom":{"secretKeyRef":{"name":"s","key":"k"}}}`, `{"secret":"<secret s/k>"}`},
		{"a null beside it", `{"secret":null,"secretFrom":{"secretKeyRef":{"name":"s","key":"k"}}}`, `{"secret":"<secret s/k>"}`},
		{"no reference", `{"b": 1, "a": 2}`, `{"b": 1, "a": 2}`},
		{"a null in its place", `{"secretFrom":null}`, `{"secretFrom":null}`},
		{"a field that can be in no Secret", `{"realmFrom":{"secretKeyRef":{"name":"s","key":"k"}}}`, `{"realmFrom":{"secretKeyRef":{"name":"s","key":"k"}}}`},
		{"no object", `"-----BEGIN PGP MESSAGE-----"`, `"-----BEGIN PGP MESSAGE-----"`},
		{"no JSON", `{"secretFrom":`, `{"secretFrom":`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, problems := RuleSecrets([]byte(c.rule), secretFields); len(problems) > 0 {
				t.Error(problems)
			}
			got := FillRule([]byte(c.rule), secretFields, func(s RuleSecret) string {
				return fmt.Sprintf("<%s %s/%s>", s.Field, s.Name, s.Key)
			})
			if string(got) != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestWhatIsNoReferenceIsRefused(t *testing.T) { // T6
	t.Parallel()
	for _, c := range []struct{ name, rule, field string }{
		{"a value beside it", `{"secret":"a","secretFrom":{"secretKeyRef":{"name":"s","key":"k"}}}`, "rule.secretFrom"},
		{"a value beside it in another case", `{"Secret":"a","secretFrom":{"secretKeyRef":{"name":"s","key":"k"}}}`, "rule.secretFrom"},
		{"text", `{"secretFrom":"s/k"}`, "rule.secretFrom"},
		{"no name", `{"secretFrom":{"secretKeyRef":{"key":"k"}}}`, "rule.secretFrom"},
		{"no key", `{"users":[{},{"passwordFrom":{"secretKeyRef":{"name":"s","key":""}}}]}`, "rule.users[1].passwordFrom"},
		{"a namespace", `{"secretFrom":{"secretKeyRef":{"name":"s","key":"k","namespace":"other"}}}`, "rule.secretFrom"}, // T4
		{"a file", `{"secretFrom":{"file":"/etc/shadow"}}`, "rule.secretFrom"},                                           // T8
		{"something beside it", `{"secretFrom":{"secretKeyRef":{"name":"s","key":"k"},"value":"v"}}`, "rule.secretFrom"}, // C8
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			found, problems := RuleSecrets([]byte(c.rule), secretFields)
			if len(found) != 0 || len(problems) != 1 || problems[0].Field != c.field || problems[0].Reason != ReasonInvalid {
				t.Errorf("got %v, %v", found, problems)
			}
			if got := FillRule([]byte(c.rule), secretFields, func(RuleSecret) string { return "x" }); string(got) != c.rule {
				t.Errorf("it is filled: %s", got)
			}
		})
	}
}
