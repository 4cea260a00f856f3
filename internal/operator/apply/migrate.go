// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/csaupgrade"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// olderManagers owned the objects of a Gateway before this operator did, by
// plain updates. "manager" is what a client calls itself by default when its
// program has that name.
var olderManagers = sets.New("manager", "goma-operator")

// migrate hands over the fields of older managers, once, before the first
// apply: without it a field that is no longer wanted would stay for ever,
// because its former owner still holds it.
func (a *Applier) migrate(ctx context.Context, live *unstructured.Unstructured) error {
	if entryOf(live.GetManagedFields(), FieldOwner) != nil || !updatedBy(live, olderManagers) {
		return nil
	}
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(live, olderManagers, FieldOwner)
	if err != nil {
		return fmt.Errorf("taking over %s %s: %w", live.GetKind(), live.GetName(), err)
	}
	if len(patch) == 0 {
		return nil
	}
	if err := a.Client.Patch(ctx, live, client.RawPatch(types.JSONPatchType, patch)); err != nil {
		return fmt.Errorf("taking over %s %s: %w", live.GetKind(), live.GetName(), err)
	}
	return nil
}

func updatedBy(o *unstructured.Unstructured, managers sets.Set[string]) bool {
	for _, e := range o.GetManagedFields() {
		if e.Operation == metav1.ManagedFieldsOperationUpdate && e.Subresource == "" && managers.Has(e.Manager) {
			return true
		}
	}
	return false
}
