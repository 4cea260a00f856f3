// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// FieldOwner is the name under which the operator owns fields.
const FieldOwner = "goma-operator"

// Applier writes objects that belong to a Gateway.
type Applier struct {
	// Client reads from the cache, where there is one, and writes.
	Client client.Client
	// Live reads from the API server. It is asked before an object is created:
	// the cache does not hold the objects of others.
	Live client.Reader
}

// CollisionError tells that the name is taken by an object of somebody else.
type CollisionError struct {
	Kind, Namespace, Name string
	// Controller is what controls the object; empty when nothing does.
	Controller string
}

func (e *CollisionError) Error() string {
	by := "is not controlled by this Gateway"
	if e.Controller != "" {
		by = "is controlled by " + e.Controller
	}
	return fmt.Sprintf("%s %s/%s exists and %s; it stays as it is: delete or rename it, or rename the Gateway",
		e.Kind, e.Namespace, e.Name, by)
}

// RejectedError tells that the API server refuses the object for good: to try
// again without a change would be in vain.
type RejectedError struct {
	Kind, Name string
	Err        error
}

func (e *RejectedError) Error() string {
	return fmt.Sprintf("the API server refuses %s %s: %v", e.Kind, e.Name, e.Err)
}

// Unwrap gives the API server's answer.
func (e *RejectedError) Unwrap() error { return e.Err }

// Apply brings one object to its desired state. It returns the object as it is
// afterwards and whether it was written.
func (a *Applier) Apply(ctx context.Context, desired client.Object) (*unstructured.Unstructured, bool, error) {
	want, err := Desired(desired)
	if err != nil {
		return nil, false, err
	}
	live, err := a.Get(ctx, desired)
	if err != nil {
		return nil, false, err
	}
	if live != nil {
		if err := a.adoptable(want, live); err != nil {
			return nil, false, err
		}
		if same, err := Same(want, live); err != nil || same {
			return live, false, err
		}
		if err := a.migrate(ctx, live); err != nil {
			return nil, false, err
		}
		// The write is meant for this object, not for one that took its place.
		want.SetUID(live.GetUID())
	}
	err = a.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(want),
		client.FieldOwner(FieldOwner), client.ForceOwnership)
	return want, err == nil, classify(want, err)
}

// Ensure sees that an object is there whose content is others'. Only its metadata is
// read and owned: what is in it is neither seen nor touched.
func (a *Applier) Ensure(ctx context.Context, desired client.Object) error {
	want, err := Desired(desired)
	if err != nil {
		return err
	}
	live := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: want.GetAPIVersion(), Kind: want.GetKind()}}
	err = a.Live.Get(ctx, client.ObjectKeyFromObject(desired), live)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading %s %s: %w", want.GetKind(), want.GetName(), err)
	}
	if err == nil {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
		if err != nil {
			return fmt.Errorf("reading %s %s: %w", want.GetKind(), want.GetName(), err)
		}
		have := &unstructured.Unstructured{Object: content}
		if err := a.adoptable(want, have); err != nil {
			return err
		}
		if same, err := Same(want, have); err != nil || same {
			return err
		}
		want.SetUID(live.GetUID())
	}
	err = a.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(want),
		client.FieldOwner(FieldOwner), client.ForceOwnership)
	return classify(want, err)
}

// Get reads the live form of an object: from the cache and, when it is not
// there, from the API server. It returns nil when there is none.
func (a *Applier) Get(ctx context.Context, o client.Object) (*unstructured.Unstructured, error) {
	live := o.DeepCopyObject().(client.Object)
	key := client.ObjectKeyFromObject(o)
	err := a.Client.Get(ctx, key, live)
	if apierrors.IsNotFound(err) {
		err = a.Live.Get(ctx, key, live)
	}
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	kind := o.GetObjectKind().GroupVersionKind()
	if err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", kind.Kind, key, err)
	}
	live.GetObjectKind().SetGroupVersionKind(kind)
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
	if err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", kind.Kind, key, err)
	}
	return &unstructured.Unstructured{Object: content}, nil
}

// Delete removes an object that is no longer wanted, if the Gateway controls it.
func (a *Applier) Delete(ctx context.Context, gateway types.UID, o client.Object) error {
	if ref := metav1.GetControllerOf(o); ref == nil || ref.UID != gateway || o.GetDeletionTimestamp() != nil {
		return nil
	}
	err := a.Client.Delete(ctx, o, client.Preconditions{UID: new(o.GetUID())},
		client.PropagationPolicy(metav1.DeletePropagationBackground))
	return client.IgnoreNotFound(err)
}

// adoptable refuses objects of others.
func (a *Applier) adoptable(want, live *unstructured.Unstructured) error {
	mine, theirs := metav1.GetControllerOf(want), metav1.GetControllerOf(live)
	if mine != nil && theirs != nil && mine.UID == theirs.UID {
		return nil
	}
	e := &CollisionError{Kind: live.GetKind(), Namespace: live.GetNamespace(), Name: live.GetName()}
	if theirs != nil {
		e.Controller = theirs.Kind + " " + theirs.Name
	}
	return e
}

// classify marks the answers that a retry cannot change.
func classify(o *unstructured.Unstructured, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		return &RejectedError{Kind: o.GetKind(), Name: o.GetName(), Err: err}
	}
	return fmt.Errorf("applying %s %s: %w", o.GetKind(), o.GetName(), err)
}

// Same tells whether the fields that the operator owns in live are exactly the
// desired ones, with the desired values.
func Same(want, live *unstructured.Unstructured) (bool, error) {
	owned, err := Owned(live)
	if err != nil {
		return false, err
	}
	wanted, err := json.Marshal(identityless(want.Object))
	if err != nil {
		return false, fmt.Errorf("encoding %s %s: %w", want.GetKind(), want.GetName(), err)
	}
	have, err := json.Marshal(owned)
	if err != nil {
		return false, fmt.Errorf("encoding %s %s: %w", want.GetKind(), want.GetName(), err)
	}
	return bytes.Equal(wanted, have), nil
}

// identityless is the object without what names it, which nobody owns.
func identityless(object map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range object {
		switch k {
		case "apiVersion", "kind":
		case "metadata":
			m := map[string]any{}
			for mk, mv := range v.(map[string]any) {
				if mk != "name" && mk != "namespace" && mk != "uid" {
					m[mk] = mv
				}
			}
			if len(m) > 0 {
				out[k] = m
			}
		default:
			out[k] = v
		}
	}
	return out
}
