// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Desired gives the object as it is sent: without the empty members that Go
// types write for what nobody set, so that nothing is owned by accident. The
// object names its kind.
func Desired(o client.Object) (*unstructured.Unstructured, error) {
	kind := o.GetObjectKind().GroupVersionKind()
	if kind.Empty() {
		return nil, fmt.Errorf("object %s does not name its kind", client.ObjectKeyFromObject(o))
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, fmt.Errorf("encoding %s %s: %w", kind.Kind, client.ObjectKeyFromObject(o), err)
	}
	delete(content, "status")
	prune(content)
	return &unstructured.Unstructured{Object: content}, nil
}

// prune removes nulls, empty maps and empty lists. None of the desired objects
// means something by an empty one; a rule of a Role without names is never
// built, and scratch volumes have a size.
func prune(m map[string]any) {
	for k, v := range m {
		if pruned(v) {
			delete(m, k)
		}
	}
}

// pruned prunes v and tells whether nothing is left of it.
func pruned(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		prune(v)
		return len(v) == 0
	case []any:
		for _, item := range v {
			if m, ok := item.(map[string]any); ok {
				prune(m)
			}
		}
		return len(v) == 0
	}
	return false
}
