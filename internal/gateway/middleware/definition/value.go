// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package definition

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// value is a part of a rule: where it stands, what is written there, and what is
// read from it.
type value struct {
	field string
	raw   json.RawMessage
	kind  reflect.Type
}

// valueOf looks through pointers, which only tell absent from empty.
func valueOf(field string, raw json.RawMessage, kind reflect.Type) value {
	for kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	return value{field, raw, kind}
}

// parts are the values inside, as far as they are read. A text, a number, and
// what is no value of its kind have none.
func (v value) parts() []value {
	switch v.kind.Kind() {
	case reflect.Slice:
		return v.elements()
	case reflect.Struct, reflect.Map:
		return v.members()
	}
	return nil
}

func (v value) elements() []value {
	var list []json.RawMessage
	if json.Unmarshal(v.raw, &list) != nil {
		return nil
	}
	out := make([]value, len(list))
	for i, raw := range list {
		out[i] = valueOf(fmt.Sprintf("%s[%d]", v.field, i), raw, v.kind.Elem())
	}
	return out
}

func (v value) members() []value {
	var out []value
	object := v.object()
	for _, key := range v.keys() {
		if v.kind.Kind() == reflect.Map {
			out = append(out, valueOf(v.step(key), object[key], v.kind.Elem()))
		} else if f, ok := fieldOf(v.kind, key); ok {
			out = append(out, valueOf(v.step(key), object[key], f.Type))
		}
	}
	return out
}

func (v value) object() map[string]json.RawMessage {
	var object map[string]json.RawMessage
	_ = json.Unmarshal(v.raw, &object) // what is no object has no keys
	return object
}

func (v value) keys() []string { return slices.Sorted(maps.Keys(v.object())) }

func (v value) step(key string) string {
	if v.field == "" {
		return key
	}
	return v.field + "." + key
}

// fieldOf finds the field of a key, in any case, as package json does.
func fieldOf(t reflect.Type, key string) (reflect.StructField, bool) {
	return t.FieldByNameFunc(func(name string) bool {
		f, _ := t.FieldByName(name)
		return strings.EqualFold(keyOf(f), key)
	})
}

func keyOf(f reflect.StructField) string { return strings.Split(f.Tag.Get("json"), ",")[0] }
