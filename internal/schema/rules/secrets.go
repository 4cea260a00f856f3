// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// suffix ends the name of a field that names a Secret in place of another field.
const suffix = "From"

var secrets = sync.OnceValue(func() map[string][]string {
	out := map[string][]string{}
	for _, r := range All() {
		fields := secretsIn("", r.Fields)
		for _, name := range r.Names {
			out[name] = fields
		}
	}
	return out
})

// Secrets gives the fields of a type's rule that a Secret may stand for, in order,
// such as users[].password: the one whose name has From at its end names the Secret.
func Secrets(typeName string) []string { return secrets()[typeName] }

func secretsIn(path string, fields map[string]Schema) (out []string) {
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		schema := fields[key]
		if _, ok := schema.Properties["secretKeyRef"]; ok && strings.HasSuffix(key, suffix) {
			out = append(out, path+strings.TrimSuffix(key, suffix))
			continue
		}
		out = append(out, secretsIn(path+key+".", schema.Properties)...)
		if schema.Items != nil && schema.Items.Schema != nil {
			out = append(out, secretsIn(path+key+"[].", schema.Items.Schema.Properties)...)
		}
	}
	return out
}

// Exclusions are schemas of a rule that must all hold: beside a field of the rule
// itself stands no Secret. Fields of objects in lists say so in their own schema.
func Exclusions() []Schema {
	var fields []string
	for _, r := range All() {
		for _, field := range Secrets(r.Names[0]) {
			if !strings.Contains(field, ".") {
				fields = append(fields, field)
			}
		}
	}
	slices.Sort(fields)
	var out []Schema
	for _, field := range slices.Compact(fields) {
		out = append(out, oneOfTwo(field))
	}
	return out
}
