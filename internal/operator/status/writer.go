// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/operator/apply"
)

// Writer writes statuses. Each write carries the resource version that was
// read, so that it never undoes what somebody else wrote in between; the API
// server then answers with a conflict and the caller looks again.
type Writer struct {
	Client client.Client
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Gateway writes the status of a Gateway if it differs, and tells whether it did.
func (w *Writer) Gateway(ctx context.Context, gw *v1alpha1.Gateway, s v1alpha1.GatewayStatus) (bool, error) {
	s.Conditions = merge(gw.Status.Conditions, s.Conditions, w.now())
	if equality.Semantic.DeepEqual(gw.Status, s) {
		return false, nil
	}
	next := gw.DeepCopy()
	next.Status = s
	return w.update(ctx, "Gateway", next)
}

// Route writes the status of a Route if it differs, and tells whether it did.
func (w *Writer) Route(ctx context.Context, r *v1alpha1.Route, s v1alpha1.RouteStatus) (bool, error) {
	s.Conditions = merge(r.Status.Conditions, s.Conditions, w.now())
	if equality.Semantic.DeepEqual(r.Status, s) {
		return false, nil
	}
	next := r.DeepCopy()
	next.Status = s
	return w.update(ctx, "Route", next)
}

// Middleware writes the status of a Middleware if it differs, and tells whether it did.
func (w *Writer) Middleware(ctx context.Context, m *v1alpha1.Middleware, s v1alpha1.MiddlewareStatus) (bool, error) {
	s.Conditions = merge(m.Status.Conditions, s.Conditions, w.now())
	if equality.Semantic.DeepEqual(m.Status, s) {
		return false, nil
	}
	next := m.DeepCopy()
	next.Status = s
	return w.update(ctx, "Middleware", next)
}

func (w *Writer) update(ctx context.Context, kind string, o client.Object) (bool, error) {
	err := w.Client.Status().Update(ctx, o, client.FieldOwner(apply.FieldOwner))
	if err != nil {
		return false, fmt.Errorf("writing the status of %s %s: %w", kind, client.ObjectKeyFromObject(o), err)
	}
	return true, nil
}

// now has the precision that survives the API server.
func (w *Writer) now() metav1.Time {
	if w.Now == nil {
		return metav1.NewTime(time.Now().Truncate(time.Second))
	}
	return metav1.NewTime(w.Now().Truncate(time.Second))
}
