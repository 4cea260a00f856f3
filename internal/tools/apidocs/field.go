// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// kindOf is how a field is written in YAML.
func kindOf(t reflect.Type, s apiextensionsv1.JSONSchemaProps) string {
	t = indirect(t)
	switch {
	case s.XIntOrString:
		return "integer or string"
	case t.Kind() == reflect.Slice && s.Items != nil && s.Items.Schema != nil:
		return "list of " + kindOf(t.Elem(), *s.Items.Schema)
	case t.Kind() == reflect.Map && s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil:
		return "map of " + kindOf(t.Elem(), *s.AdditionalProperties.Schema)
	case t.Kind() == reflect.Struct && s.Type == "object" && foreign(t):
		return t.Name()
	case s.Type == "":
		return "anything"
	}
	return s.Type
}

// foreign is true for what Kubernetes describes itself.
func foreign(t reflect.Type) bool { return t.PkgPath() != own }

func byDefault(s apiextensionsv1.JSONSchemaProps) string {
	if s.Default == nil {
		return ""
	}
	return "`" + cell(string(s.Default.Raw)) + "`"
}

// describe is the comment of a field, with its bounds.
func describe(s apiextensionsv1.JSONSchemaProps, t reflect.Type, required bool) string {
	parts := []string{}
	if required {
		parts = append(parts, "Required.")
	}
	if d := plain(s.Description); d != "" {
		parts = append(parts, d)
	}
	parts = append(parts, bounds(s)...)
	for _, r := range s.XValidations {
		if isScalar(t) {
			parts = append(parts, "Rule: "+strings.TrimSuffix(plain(r.Message), ".")+".")
		}
	}
	return strings.Join(parts, " ")
}

// isScalar is true where no section of its own tells the rules of a field.
func isScalar(t reflect.Type) bool {
	t = indirect(t)
	return t.Kind() != reflect.Struct || foreign(t)
}

func bounds(s apiextensionsv1.JSONSchemaProps) []string {
	var out []string
	if len(s.Enum) > 0 {
		var values []string
		for _, v := range s.Enum {
			values = append(values, "`"+strings.Trim(string(v.Raw), `"`)+"`")
		}
		out = append(out, "One of "+strings.Join(values, ", ")+".")
	}
	switch low, high := number(s.Minimum), number(s.Maximum); {
	case low != "" && high != "":
		out = append(out, fmt.Sprintf("From %s to %s.", low, high))
	case low != "":
		out = append(out, fmt.Sprintf("At least %s.", low))
	case high != "":
		out = append(out, fmt.Sprintf("At most %s.", high))
	}
	if s.MaxItems != nil {
		out = append(out, fmt.Sprintf("At most %d entries.", *s.MaxItems))
	}
	return out
}

func number(f *float64) string {
	if f == nil {
		return ""
	}
	return strconv.FormatFloat(*f, 'f', -1, 64)
}

// plain is a comment in one line.
func plain(text string) string { return strings.Join(strings.Fields(text), " ") }

// cell is text that a cell of a table can hold.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(text)
}
