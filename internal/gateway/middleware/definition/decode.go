// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package definition

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
)

// Decode reads a rule into the settings of a type. A key that the settings do
// not have, at any depth, is a warning; a value of the wrong type is an error
// that names its field. An absent rule leaves the settings as they are.
func Decode(raw json.RawMessage, settings any) []config.Problem {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	rule := valueOf("", raw, reflect.TypeOf(settings))
	if err := json.Unmarshal(raw, settings); err != nil {
		return []config.Problem{mistyped(rule, err)}
	}
	return unknownKeys(rule)
}

// Invalid is a problem of one field of a rule; the field is relative to it.
func Invalid(field, format string, args ...any) config.Problem {
	return config.Problem{Field: join(field), Reason: config.ReasonInvalid, Message: fmt.Sprintf(format, args...)}
}

// Unset is the problem of a field that needs the value of a variable. C2
func Unset(field, variable string) config.Problem {
	return config.Problem{
		Field: join(field), Reason: config.ReasonSecretNotFound,
		Message: fmt.Sprintf("the variable %s is not set, or not allowed here; set it, and allow it in dynamicEnv", variable),
	}
}

// Unread is the problem of a field that names a Secret where nobody reads Secrets.
// Elsewhere the value has been put in before a rule is parsed.
func Unread(field string) config.Problem {
	return Invalid(field+config.From, "names a Secret, which only a Middleware of Kubernetes can; write ${NAME} as %s, and set that variable",
		field[strings.LastIndex(field, ".")+1:])
}

func join(field string) string {
	if field == "" {
		return "rule"
	}
	return "rule." + field
}

// mistyped finds the innermost value that does not fit, and tells what is
// expected there. It does not repeat the value, which may be a secret.
func mistyped(v value, err error) config.Problem {
	for _, part := range v.parts() {
		if err := json.Unmarshal(part.raw, reflect.New(part.kind).Interface()); err != nil {
			return mistyped(part, err)
		}
	}
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	switch {
	case v.field == "" || errors.As(err, &syntax):
		return Invalid(v.field, "must be an object with the settings of the type")
	case errors.As(err, &wrong):
		return Invalid(v.field, "is %s, but must be %s", found(v.raw), expected(v.kind))
	}
	return Invalid(v.field, "%v", err)
}

func found(raw json.RawMessage) string {
	switch raw[0] {
	case '"':
		return "text"
	case '[':
		return "a list"
	case '{':
		return "an object"
	case 't', 'f':
		return "true or false"
	default:
		return "a number"
	}
}

func expected(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.String:
		return "text"
	case reflect.Slice:
		return "a list"
	default:
		return "an object"
	}
}

// unknownKeys warns of the keys that nobody reads.
func unknownKeys(v value) []config.Problem {
	var problems []config.Problem
	if v.kind.Kind() == reflect.Struct {
		known := keysOf(v.kind)
		for _, key := range v.keys() {
			if _, ok := fieldOf(v.kind, key); !ok {
				problems = append(problems, unknownKey(v.step(key), key, known))
			}
		}
	}
	for _, part := range v.parts() {
		problems = append(problems, unknownKeys(part)...)
	}
	return problems
}

func unknownKey(field, key string, known []string) config.Problem {
	message := "is not a setting here, and is ignored; there are " + strings.Join(known, ", ")
	if near := config.Nearest(key, known); near != "" {
		message = fmt.Sprintf("is not a setting here, and is ignored; did you mean %s?", near)
	}
	return config.Problem{Field: join(field), Reason: config.ReasonUnknownField, Severity: config.SeverityWarning, Message: message}
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for f := range t.Fields() {
		keys = append(keys, keyOf(f))
	}
	return slices.Sorted(slices.Values(keys))
}
