// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
)

// decided leaves out what cannot be judged yet: problems of values that hold a
// ${VARIABLE}, whose value only the gateway knows. It puts them in before it
// parses the rule, and then reports what is still wrong.
func decided(rule json.RawMessage, problems []config.Problem) []config.Problem {
	open := variables(rule)
	return slices.DeleteFunc(problems, func(p config.Problem) bool {
		return slices.ContainsFunc(open, func(at string) bool { return within(p.Field, at) || within(at, p.Field) })
	})
}

// within tells whether a field is the other one or a part of it.
func within(field, of string) bool {
	rest, ok := strings.CutPrefix(field, of)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// variables are the fields of a rule whose text refers to one.
func variables(rule json.RawMessage) []string {
	var v any
	if json.Unmarshal(rule, &v) != nil {
		return nil
	}
	return referring("rule", v)
}

func referring(field string, v any) (fields []string) {
	switch v := v.(type) {
	case string:
		if config.Unresolved(v) != "" {
			fields = append(fields, field)
		}
	case []any:
		for i, item := range v {
			fields = append(fields, referring(fmt.Sprintf("%s[%d]", field, i), item)...)
		}
	case map[string]any:
		for key, item := range v {
			fields = append(fields, referring(field+"."+key, item)...)
		}
	}
	return fields
}
