// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package rules says what the rule of each middleware type may hold, as far as a
// CustomResourceDefinition can: it is the one list of type names and the source
// of the schema of Middleware spec.rule.
//
// A rule stays a free object: keys that are not listed here are kept and pass.
// What the schema cannot express is checked by the type itself, in the gateway.
// docs/decisions/0002-rule-schemas.md tells why.
package rules

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// Schema is the schema of one value.
type Schema = apiextensionsv1.JSONSchemaProps

// Rule describes the rule of one middleware type.
type Rule struct {
	// Names are the spellings of the type; the first is the usual one.
	Names []string
	// Fields are the keys of the rule.
	Fields map[string]Schema
	// Needs are groups of keys; of each group at least one must be given.
	Needs [][]string
}

// All gives every middleware type, by family.
func All() []Rule {
	return slices.Concat(authentication(), access(), paths(), headers(), traffic())
}

// Names gives every name of every type, sorted.
func Names() []string {
	var names []string
	for _, r := range All() {
		names = append(names, r.Names...)
	}
	slices.Sort(names)
	return names
}

// Properties joins the fields of all types, each with the types that have it in
// its description. A field that two types understand differently is an error.
func Properties() (map[string]Schema, error) {
	owners, out := map[string][]string{}, map[string]Schema{}
	for _, r := range All() {
		for key, schema := range r.Fields {
			known, ok := out[key]
			if ok && !same(known, schema) {
				return nil, fmt.Errorf("field %s of %s has another schema in %s", key, r.Names[0], strings.Join(owners[key], ", "))
			}
			if ok && known.Description != schema.Description {
				schema.Description = known.Description + " " + schema.Description
			}
			owners[key] = append(owners[key], r.Names[0])
			out[key] = schema
		}
	}
	for key, schema := range out {
		slices.Sort(owners[key])
		schema.Description = strings.Join(owners[key], ", ") + ": " + schema.Description
		out[key] = schema
	}
	return out, nil
}

func same(a, b Schema) bool {
	a.Description, b.Description = "", ""
	return reflect.DeepEqual(a, b)
}

// Conditions gives what each type needs of its rule, as schemas of a Middleware's
// spec that must all hold: either the type is another one, or the keys are there.
func Conditions() []Schema {
	var out []Schema
	for _, r := range All() {
		if len(r.Needs) == 0 {
			continue
		}
		var names []apiextensionsv1.JSON
		for _, name := range r.Names {
			names = append(names, value(name))
		}
		// The type is named in the first branch too, so that it is the nearer match
		// and its message, not that of the other branch, reaches the user.
		out = append(out, Schema{AnyOf: []Schema{
			{
				Required:   []string{"rule"},
				Properties: map[string]Schema{"type": {Enum: names}, "rule": needs(r.Needs)},
			},
			{Properties: map[string]Schema{"type": {Not: &Schema{Enum: names}}}},
		}})
	}
	return out
}

func needs(groups [][]string) Schema {
	var out Schema
	for _, keys := range groups {
		if len(keys) == 1 {
			out.Required = append(out.Required, keys[0])
			continue
		}
		out.AllOf = append(out.AllOf, anyKey(keys...))
	}
	return out
}

// anyKey holds when at least one of the keys is there.
func anyKey(keys ...string) Schema {
	var out Schema
	for _, key := range keys {
		out.AnyOf = append(out.AnyOf, Schema{Required: []string{key}})
	}
	return out
}

func value(text string) apiextensionsv1.JSON {
	return apiextensionsv1.JSON{Raw: fmt.Appendf(nil, "%q", text)}
}

// join gives the fields of several maps; later ones win.
func join(sets ...map[string]Schema) map[string]Schema {
	out := map[string]Schema{}
	for _, set := range sets {
		maps.Copy(out, set)
	}
	return out
}

// Alternatives gives the group of keys, of which a type needs one, that a key is
// part of; nil when there is none.
func Alternatives(typeName, key string) []string {
	for _, r := range All() {
		if !slices.Contains(r.Names, typeName) {
			continue
		}
		for _, group := range r.Needs {
			if slices.Contains(group, key) {
				return group
			}
		}
	}
	return nil
}
