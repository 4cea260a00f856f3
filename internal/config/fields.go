// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"iter"
	"maps"
	"reflect"
	"strings"
	"sync"
)

// knownFields caches, by type, the index of each key.
var knownFields sync.Map

// fieldsOf gives the keys of a struct by their json tags.
func fieldsOf(t reflect.Type) map[string]int {
	if known, ok := knownFields.Load(t); ok {
		return known.(map[string]int)
	}
	known := map[string]int{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && name != "-" && name != "" {
			known[name] = i
		}
	}
	knownFields.Store(t, known)
	return known
}

func keysOf(known map[string]int) iter.Seq[string] { return maps.Keys(known) }
