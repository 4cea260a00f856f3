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
// not have is a warning; a value of the wrong type is an error that names its
// field. An absent rule leaves the settings as they are.
func Decode(raw json.RawMessage, settings any) []config.Problem {
	if len(bytes.TrimSpace(raw)) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return nil
	}
	if err := json.Unmarshal(raw, settings); err != nil {
		return []config.Problem{mistyped(err)}
	}
	return unknownKeys(raw, reflect.TypeOf(settings).Elem())
}

// Invalid is a problem of one field of a rule; the field is relative to it.
func Invalid(field, format string, args ...any) config.Problem {
	return config.Problem{Field: join(field), Reason: config.ReasonInvalid, Message: fmt.Sprintf(format, args...)}
}

func join(field string) string {
	if field == "" {
		return "rule"
	}
	return "rule." + field
}

// mistyped tells where and what was expected. It does not repeat the value,
// which may be a secret.
func mistyped(err error) config.Problem {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return Invalid(wrong.Field, "is a %s, but must be %s", wrong.Value, describe(wrong.Type))
	}
	return Invalid("", "must be an object with the settings of the type")
}

func describe(t reflect.Type) string {
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

// unknownKeys warns of the top-level keys that nobody reads.
func unknownKeys(raw json.RawMessage, t reflect.Type) []config.Problem {
	var keys map[string]json.RawMessage
	if json.Unmarshal(raw, &keys) != nil {
		return nil
	}
	var known []string
	for f := range t.Fields() {
		known = append(known, strings.Split(f.Tag.Get("json"), ",")[0])
	}
	var problems []config.Problem
	for key := range keys {
		if slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, key) }) {
			continue
		}
		problems = append(problems, config.Problem{
			Field: join(key), Reason: config.ReasonUnknownField, Severity: config.SeverityWarning,
			Message: "is not a setting of this type; it has " + strings.Join(known, ", "),
		})
	}
	slices.SortFunc(problems, func(a, b config.Problem) int { return strings.Compare(a.Field, b.Field) })
	return problems
}
