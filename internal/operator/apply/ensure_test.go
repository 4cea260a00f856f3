// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package apply_test

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"gateway.jkaninda.dev/goma/internal/operator/apply"
)

// A Secret that is made empty and filled by somebody else keeps what it holds, whatever
// becomes of the operator: it reads and owns the metadata alone.
func TestWhatOthersWriteIntoAnEnsuredObjectStays(t *testing.T) { // O6, A10
	t.Parallel()
	applied := 0
	c := fake.NewClientBuilder().WithReturnManagedFields().WithInterceptorFuncs(interceptor.Funcs{
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			applied++
			return c.Apply(ctx, o, opts...)
		},
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if _, ok := o.(*metav1.PartialObjectMetadata); !ok {
				t.Errorf("%T is read whole", o)
			}
			return c.Get(ctx, key, o, opts...)
		},
	}).Build()
	a := &apply.Applier{Client: c, Live: c}
	ensure := func(labels map[string]string) error {
		return a.Ensure(t.Context(), &corev1.Secret{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "edge-acme-0", Labels: labels, OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "gateway.jkaninda.dev/v1alpha1", Kind: "Gateway", Name: "edge", UID: "1", Controller: new(true),
			}}},
		})
	}
	old := map[string]string{"release": "old"}
	for range 3 {
		if err := ensure(old); err != nil {
			t.Fatal(err)
		}
	}
	if applied != 1 {
		t.Errorf("%d writes for one object", applied)
	}
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"data":{"v-1":"eA=="}}`))
	named := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "edge-acme-0"}}
	if err := c.Patch(t.Context(), named, patch, client.FieldOwner("goma-k8s-provider")); err != nil {
		t.Fatal(err)
	}
	if err := ensure(map[string]string{"release": "new"}); err != nil { // an upgrade
		t.Fatal(err)
	}
	var list corev1.SecretList
	if err := c.List(t.Context(), &list); err != nil || len(list.Items) != 1 {
		t.Fatalf("%v, %v", list.Items, err)
	}
	if got := list.Items[0]; string(got.Data["v-1"]) != "x" || got.Labels["release"] != "new" || applied != 2 {
		t.Errorf("after %d writes: %v %v", applied, got.Data, got.Labels)
	}
	if err := c.Patch(t.Context(), named, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"ownerReferences":null}}`))); err != nil {
		t.Fatal(err)
	}
	var collision *apply.CollisionError
	if err := ensure(old); !errors.As(err, &collision) { // O5
		t.Errorf("an object of somebody else: %v", err)
	}
}
