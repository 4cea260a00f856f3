// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Owned gives the part of an object that the operator owns, as the API server
// recorded it in the object's managed fields. It is empty for an object that
// the operator has not applied yet.
func Owned(live *unstructured.Unstructured) (map[string]any, error) {
	entry := entryOf(live.GetManagedFields(), FieldOwner)
	if entry == nil || entry.FieldsV1 == nil {
		return map[string]any{}, nil
	}
	var fields map[string]any
	if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields); err != nil {
		return nil, fmt.Errorf("reading the managed fields of %s %s: %w", live.GetKind(), live.GetName(), err)
	}
	owned, ok := project(live.Object, fields).(map[string]any)
	if !ok {
		return map[string]any{}, nil
	}
	return owned, nil
}

// Owns tells whether the operator owns the field at a path of plain names.
func Owns(live *unstructured.Unstructured, path ...string) bool {
	owned, err := Owned(live)
	if err != nil {
		return false
	}
	_, found, err := unstructured.NestedFieldNoCopy(owned, path...)
	return err == nil && found
}

func entryOf(entries []metav1.ManagedFieldsEntry, manager string) *metav1.ManagedFieldsEntry {
	for i := range entries {
		e := &entries[i]
		if e.Manager == manager && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == "" {
			return e
		}
	}
	return nil
}

// project gives the part of value that fields names. The form of fields is that
// of FieldsV1: f:NAME for a member, k:{KEY} and v:VALUE for an item of a list,
// and "." for the thing itself; no members means all of it.
func project(value any, fields map[string]any) any {
	if len(fields) == 0 {
		return value
	}
	switch value := value.(type) {
	case map[string]any:
		return projectMap(value, fields)
	case []any:
		return projectList(value, fields)
	}
	return value
}

func projectMap(value, fields map[string]any) map[string]any {
	out := map[string]any{}
	for key, sub := range fields {
		name, ok := strings.CutPrefix(key, "f:")
		if !ok {
			continue
		}
		member, ok := value[name]
		if !ok {
			continue
		}
		below, _ := sub.(map[string]any)
		out[name] = project(member, below)
	}
	return out
}

// projectList keeps the order of the list.
func projectList(value []any, fields map[string]any) []any {
	out := []any{}
	for _, item := range value {
		for key, sub := range fields {
			if !selects(key, item) {
				continue
			}
			below, _ := sub.(map[string]any)
			out = append(out, project(item, below))
			break
		}
	}
	return out
}

// selects tells whether a path element names the item.
func selects(element string, item any) bool {
	if text, ok := strings.CutPrefix(element, "k:"); ok {
		var key map[string]any
		object, isMap := item.(map[string]any)
		if !isMap || json.Unmarshal([]byte(text), &key) != nil {
			return false
		}
		for name, want := range key {
			if !equal(object[name], want) {
				return false
			}
		}
		return true
	}
	if text, ok := strings.CutPrefix(element, "v:"); ok {
		var want any
		return json.Unmarshal([]byte(text), &want) == nil && equal(item, want)
	}
	return false
}

// equal compares scalars of JSON, whose numbers have several types in Go.
func equal(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) }
