// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// handoverOwner holds the replica count between the operator and the autoscaler.
const handoverOwner = FieldOwner + "-handover"

// ReleaseReplicas gives up a Deployment's replica count without changing it. A
// field that its only owner stops sending is removed, and the API server would
// then set the default of 1: so another owner takes it at its present value
// first. The autoscaler takes it over with its first own write. A count of 0
// would switch the autoscaler off, so it starts from least.
func (a *Applier) ReleaseReplicas(ctx context.Context, deployment client.Object, least int32) error {
	live, err := a.Get(ctx, deployment)
	if err != nil || live == nil || !Owns(live, "spec", "replicas") {
		return err
	}
	count, _, err := unstructured.NestedInt64(live.Object, "spec", "replicas")
	if err != nil {
		return fmt.Errorf("reading the replicas of Deployment %s: %w", live.GetName(), err)
	}
	if count == 0 {
		count = int64(least)
	}
	part := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": live.GetAPIVersion(),
		"kind":       live.GetKind(),
		"metadata":   map[string]any{"name": live.GetName(), "namespace": live.GetNamespace(), "uid": string(live.GetUID())},
		"spec":       map[string]any{"replicas": count},
	}}
	err = a.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(part),
		client.FieldOwner(handoverOwner), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("handing the replicas of Deployment %s to the autoscaler: %w", live.GetName(), err)
	}
	return nil
}
