// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"gateway.jkaninda.dev/goma/internal/config"
)

// ReadSecret gives the value of a key of a Secret. Its problem has a reason and a
// message that holds nothing of the value.
type ReadSecret func(config.SecretKey) ([]byte, *config.Problem)

// Parsed is the rule of a middleware with the values of the Secrets that it names.
// Problems are those of the values and what they make of the rule; without errors
// among them there is a Rule.
func Parsed(m *config.Middleware, read ReadSecret) (Rule, []config.Problem) {
	t, ok := Lookup(m.Type)
	if !ok {
		return nil, Check(m)
	}
	named, problems := config.RuleSecrets(m.Rule, t.Secrets)
	if len(named) == 0 && len(problems) == 0 {
		rule, problems := t.Parse(m.Rule)
		return rule, about(m, problems)
	}
	values := map[config.SecretKey]string{}
	for _, s := range named {
		value, problem := valueOf(s, read)
		if problem != nil {
			problems = append(problems, *problem)
		}
		values[s.SecretKey] = value
	}
	if len(problems) > 0 {
		return nil, about(m, problems)
	}
	rule, problems := t.Parse(config.FillRule(m.Rule, t.Secrets, func(s config.RuleSecret) string { return values[s.SecretKey] }))
	return rule, about(m, problems)
}

// NamesSecrets tells whether values of the rule are in Secrets.
func NamesSecrets(m *config.Middleware) bool {
	t, ok := Lookup(m.Type)
	if !ok {
		return false
	}
	named, _ := config.RuleSecrets(m.Rule, t.Secrets)
	return len(named) > 0
}

func valueOf(s config.RuleSecret, read ReadSecret) (string, *config.Problem) {
	data, problem := read(s.SecretKey)
	if problem == nil {
		problem = unusable(s.SecretKey, data)
	}
	if problem != nil {
		problem.Field = "rule." + s.Field + config.From
		return "", problem
	}
	return text(data), nil
}

// text is the value without the line breaks at its end, which come from files and
// are no part of a credential.
func text(data []byte) string { return strings.TrimRight(string(data), "\r\n") }

// unusable tells of a value that cannot stand in a rule, without showing it.
func unusable(s config.SecretKey, data []byte) *config.Problem {
	var why string
	switch value := text(data); {
	case value == "":
		why = "is empty"
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		why = "is no text"
	case config.Unresolved(value) != "":
		why = "holds ${, which would stand for a variable"
	default:
		return nil
	}
	return &config.Problem{
		Reason: config.ReasonSecretInvalid, Message: fmt.Sprintf("key %s of Secret %s %s; give it another value", s.Key, s.Name, why),
	}
}
