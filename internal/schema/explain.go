// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/schema/rules"
)

// explain turns what the API server's validation says into problems: the field,
// and how to put it right, without the value, which may be a secret.
func explain(object map[string]any, errs field.ErrorList) []config.Problem {
	var out []config.Problem
	if slices.ContainsFunc(errs, alternative) {
		out = doubled(object)
	}
	twice := out
	for _, err := range errs {
		told := func(p config.Problem) bool { return p.Field == err.Field || alternative(err) }
		if slices.ContainsFunc(twice, told) {
			continue
		}
		if composite(err) && !all(errs, composite) {
			continue // the parts say it better
		}
		p := config.Problem{Field: whole(err.Field), Reason: config.ReasonInvalid, Message: message(err)}
		if err.Type == field.ErrorTypeRequired {
			p.Message = required(object, err.Field)
		}
		out = append(out, p)
	}
	return out
}

// doubled tells of values of a rule beside which stands the Secret that holds them.
func doubled(object map[string]any) []config.Problem {
	spec, _ := object["spec"].(map[string]any)
	if textOf(object, "kind") != "Middleware" {
		return nil
	}
	rule, err := json.Marshal(spec["rule"])
	if err != nil {
		return nil
	}
	_, problems := config.RuleSecrets(rule, rules.Secrets(textOf(spec, "type")))
	problems = slices.DeleteFunc(problems, func(p config.Problem) bool { return !strings.Contains(p.Message, "one of the two") })
	for i := range problems {
		problems[i].Field = "spec." + problems[i].Field
	}
	return problems
}

func all(errs field.ErrorList, is func(*field.Error) bool) bool {
	return !slices.ContainsFunc(errs, func(e *field.Error) bool { return !is(e) })
}

// composite is an error of anyOf, allOf, oneOf or not as such; it has no field.
func composite(err *field.Error) bool {
	return whole(err.Field) == "" && alternative(err)
}

// alternative is an error of anyOf, allOf, oneOf or not, wherever it is.
func alternative(err *field.Error) bool {
	return strings.Contains(err.Detail, " must validate ") || strings.Contains(err.Detail, " must not validate ")
}

// whole gives the empty path for that of the object itself.
func whole(path string) string {
	if path == "<nil>" {
		return ""
	}
	return path
}

// message is what the error says, without the field and the value.
func message(err *field.Error) string {
	text := strings.TrimPrefix(err.Detail, err.Field+" in body ")
	if cause, rule, ok := strings.Cut(text, " evaluating rule: "); ok {
		if strings.HasPrefix(cause, "error parsing regexp") {
			return rule + ": " + strings.TrimPrefix(cause, "error parsing regexp: ")
		}
		return rule
	}
	switch err.Type {
	case field.ErrorTypeNotSupported:
		return fmt.Sprintf("%v is not known; %s", err.BadValue, text)
	case field.ErrorTypeTypeInvalid:
		wanted, given, _ := strings.Cut(text, ": ")
		return fmt.Sprintf("%s, not %s", wanted, strings.Trim(given, `"`))
	}
	return text
}

// required says what is missing, with the alternatives that a rule has.
func required(object map[string]any, path string) string {
	spec, _ := object["spec"].(map[string]any)
	key, inRule := strings.CutPrefix(path, "spec.rule.")
	if !inRule || textOf(object, "kind") != "Middleware" {
		return "is required"
	}
	if keys := rules.Alternatives(textOf(spec, "type"), key); len(keys) > 1 {
		return "one of " + strings.Join(keys, ", ") + " is required"
	}
	return "is required"
}
