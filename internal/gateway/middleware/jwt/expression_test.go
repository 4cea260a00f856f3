// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/claims"
)

const person = `{"role":"admin","email":"ann@example.com","groups":["dev","ops"],"age":42,"ratio":1.5,"active":true,"suspended":false,
"user":{"name":"ann","tags":["x","y"]},"https://a.test/role":"editor","quote":"it's","path":"a\\b","empty":"","none":null,"nested":[["dev"]]}`

func TestAnExpressionHoldsOrNot(t *testing.T) { // M17
	t.Parallel()
	said, err := claims.Decode([]byte(person))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"Equals(`role`, `admin`)":                                    true,
		"Equals('role', 'admin')":                                    true,
		`Equals("role", "admin")`:                                    true,
		"Equals('role', `admin`)":                                    true,
		"Equals('role', 'user')":                                     false,
		"Equals('role', 'Admin')":                                    false,
		"equals('role','admin')":                                     true,
		"Equals('groups', 'ops')":                                    true,
		"Equals('groups', 'op')":                                     false,
		"Equals('groups', 'dev,ops')":                                false,
		"Equals('nested', 'dev')":                                    false,
		"Equals('age', 42)":                                          true,
		"Equals('age', 42.0)":                                        true,
		"Equals('age', '42')":                                        true,
		"Equals('age', -42)":                                         false,
		"Equals('ratio', 1.5)":                                       true,
		"Equals('active', true)":                                     true,
		"Equals('active', 'true')":                                   true,
		"Equals('active', false)":                                    false,
		"Equals('user.name', 'ann')":                                 true,
		"Equals('user.tags', 'y')":                                   true,
		"Equals('https://a.test/role', 'editor')":                    true,
		"Equals('user', 'ann')":                                      false,
		`Equals('quote', 'it\'s')`:                                   true,
		`Equals('quote', "it's")`:                                    true,
		"Equals('quote', `it's`)":                                    true,
		`Equals('path', 'a\b')`:                                      true,
		`Equals('path', 'a\\b')`:                                     true,
		"Equals('path', `a\\b`)":                                     true,
		"Equals('empty', '')":                                        true,
		"Equals('absent', '')":                                       false,
		"Equals('none', '')":                                         false,
		"Prefix('email', 'ann@')":                                    true,
		"Prefix('email', 'bob@')":                                    false,
		"Prefix('groups', 'de')":                                     true,
		"Contains('email', 'example')":                               true,
		"Contains('groups', 'p')":                                    true,
		"Contains('groups', 'qa', 'ops')":                            true,
		"Contains('groups', 'qa', 'op')":                             false,
		"Contains('role', 'adm', 'in')":                              false,
		"OneOf('role', 'user', 'admin')":                             true,
		"OneOf('role', 'user')":                                      false,
		"OneOf('groups', 'ops', 'qa')":                               true,
		"!Equals('role', 'user')":                                    true,
		"!!Equals('role', 'admin')":                                  true,
		"! Equals('absent', 'x')":                                    true, // a claim that is missing is none of the values
		"!Equals('suspended', true)":                                 true,
		"!Equals('absent', true) && Equals('role', 'admin')":         true,
		"Equals('role','x') || Equals('role','admin')":               true,
		"Equals('role','admin') && Equals('role','x')":               false,
		"Equals('role','admin')||Equals('a','b')&&Equals('a','b')":   true, // && binds tighter
		"(Equals('role','admin')||Equals('a','b'))&&Equals('a','b')": false,
		"!Equals('a','b')&&Equals('a','b')":                          false, // ! binds tightest
		"!(Equals('a','b')&&Equals('a','b'))":                        true,
		" \t\n( ( Equals ( 'role' , 'admin' ) ) ) \r\n":              true,
		"Equals('role','admin') && (Prefix('email','bob') || OneOf('groups','dev')) && !Contains('email','evil')": true,
	} {
		c, err := parseExpression(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := c.holds(said); got != want {
			t.Errorf("%s is %v, want %v", text, got, want)
		}
	}
}

func TestAnExpressionIsReadInFull(t *testing.T) { // M17
	t.Parallel()
	for text, says := range map[string]string{
		"   ":                                       "one of Equals",
		"Equals":                                    "character 7: expected (",
		"Equals(":                                   "a text in quotes",
		"Equals('role'":                             ", or )",
		"Equals('role')":                            "another number of values",
		"Equals('role', 'a', 'b')":                  "another number of values",
		"Prefix('role', 'a', 'b')":                  "another number of values",
		"OneOf('role')":                             "another number of values",
		"Equals('', 'a')":                           "the name of a claim",
		"Equals(role, 'admin')":                     "a text in quotes",
		"Equals('role', admin)":                     "character 16: expected a value in quotes",
		"Equals('role', null)":                      "a value in quotes",
		"Equals('role', 1x)":                        "a value in quotes",
		"Equals('role', 'admin'":                    ", or )",
		"Equals('role', 'admin)":                    "character 16: the quote is not closed",
		`Equals('role', 'admin\')`:                  "the quote is not closed",
		"Equals('role', 'admin\")":                  "the quote is not closed",
		"Equals('role', 'admin'))":                  "character 24: expected && or ||",
		"Equals('role', 'admin') x":                 "expected && or ||",
		"Equals('role', 'admin') Equals('a','b')":   "expected && or ||",
		"Equals('role', 'admin') & Equals('a','b')": "expected && or ||",
		"Equals('role', 'admin') &&":                "one of Equals",
		"|| Equals('role', 'admin')":                "one of Equals",
		"(Equals('role', 'admin')":                  "expected )",
		"()":                                        "one of Equals",
		"!":                                         "one of Equals",
		"Equal('role', 'admin')":                    "character 1: expected Equals",
		"true":                                      "one of Equals",
		strings.Repeat("!", 100) + "Equals('a','b')":                  "nested more than",
		strings.Repeat("(", 100) + "Equals('a','b')":                  "nested more than",
		strings.Repeat("Equals('a','b')||", 1000) + "Equals('a','b')": "longer than",
	} {
		if c, err := parseExpression(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.60s: %v, %v; want an error that says %q", text, c, err, says)
		}
	}
}

func FuzzParseExpression(f *testing.F) { // M17
	for _, text := range []string{
		"Equals('role', 'admin') && !Prefix(`a.b`, \"c\") || (OneOf('x', 1, true, 'y'))", "!!!(((", "Equals('a','\\'')", "Contains('a', -1e5)",
	} {
		f.Add(text)
	}
	said, err := claims.Decode([]byte(person))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseExpression(text)
		if (c == nil) == (err == nil) && err == nil {
			t.Fatal("neither a condition nor an error")
		}
		if err != nil {
			return
		}
		opposite, err := parseExpression("!(" + text + ")")
		if err != nil {
			return // it is nested once more
		}
		if c.holds(said) == opposite.holds(said) {
			t.Fatalf("%q and its opposite are the same", text)
		}
		if joined, err := parseExpression("(" + text + ") && (" + text + ")"); err == nil && joined.holds(said) != c.holds(said) {
			t.Fatalf("%q changes when it is said twice", text)
		}
	})
}
