// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/operator/apply"
)

// Writer writes statuses. Each write carries the resource version that was
// read, so that it never undoes what somebody else wrote in between; the API
// server then answers with a conflict and the caller looks again. Of an object
// that was read from a cache which has not seen the Writer's own last write
// nothing can be told: it may differ or not, and a write would be a conflict for
// sure, which a busy operator would send for many a change. O9
type Writer struct {
	Client client.Client
	// Now is the clock; time.Now when nil.
	Now func() time.Time

	mu sync.Mutex

	// replaced has, of each object that the cache may not show as it was written,
	// the resource version that the write replaced.
	replaced map[object]string
}

// object is what a status belongs to.
type object struct {
	kind string
	key  client.ObjectKey
}

// errStale says that the caller has read an object as it was before the last write.
var errStale = errors.New("the cache does not have the last write yet")

// Again tells errors of a write after which the caller looks again, a moment later:
// the object is another than the one that was read.
func Again(err error) bool { return apierrors.IsConflict(err) || errors.Is(err, errStale) }

// Gateway writes the status of a Gateway if it differs, and tells whether it did.
func (w *Writer) Gateway(ctx context.Context, gw *v1alpha1.Gateway, s v1alpha1.GatewayStatus) (bool, error) {
	if w.isStale("Gateway", gw) {
		return false, errStale
	}
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
	if w.isStale("Route", r) {
		return false, errStale
	}
	s.Conditions = merge(withoutFormer(r.Status.Conditions, s.Conditions), s.Conditions, w.now())
	if equality.Semantic.DeepEqual(r.Status, s) {
		return false, nil
	}
	next := r.DeepCopy()
	next.Status = s
	return w.update(ctx, "Route", next)
}

// withoutFormer leaves out of present a condition of ours that does not apply any more.
func withoutFormer(present, wanted []metav1.Condition) []metav1.Condition {
	if meta.FindStatusCondition(wanted, CertificateReady) != nil {
		return present
	}
	present = slices.Clone(present)
	meta.RemoveStatusCondition(&present, CertificateReady)
	return present
}

// Middleware writes the status of a Middleware if it differs, and tells whether it did.
func (w *Writer) Middleware(ctx context.Context, m *v1alpha1.Middleware, s v1alpha1.MiddlewareStatus) (bool, error) {
	if w.isStale("Middleware", m) {
		return false, errStale
	}
	s.Conditions = merge(m.Status.Conditions, s.Conditions, w.now())
	if equality.Semantic.DeepEqual(m.Status, s) {
		return false, nil
	}
	next := m.DeepCopy()
	next.Status = s
	return w.update(ctx, "Middleware", next)
}

func (w *Writer) update(ctx context.Context, kind string, o client.Object) (bool, error) {
	id, read := object{kind, client.ObjectKeyFromObject(o)}, o.GetResourceVersion()
	err := w.Client.Status().Update(ctx, o, client.FieldOwner(apply.FieldOwner))
	if err != nil {
		return false, fmt.Errorf("writing the status of %s %s: %w", kind, id.key, err)
	}
	if o.GetResourceVersion() != read {
		w.note(id, read)
	}
	return true, nil
}

// isStale tells whether an object is as it was before the last write, and forgets
// that write as soon as it is not.
func (w *Writer) isStale(kind string, o client.Object) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := object{kind, client.ObjectKeyFromObject(o)}
	replaced, ok := w.replaced[id]
	if ok && replaced == o.GetResourceVersion() {
		return true
	}
	delete(w.replaced, id)
	return false
}

func (w *Writer) note(id object, replaced string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.replaced == nil {
		w.replaced = map[object]string{}
	}
	w.replaced[id] = replaced
}

// Forget drops what is known of an object that is gone.
func (w *Writer) Forget(kind string, key client.ObjectKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.replaced, object{kind, key})
}

// now has the precision that survives the API server.
func (w *Writer) now() metav1.Time {
	if w.Now == nil {
		return metav1.NewTime(time.Now().Truncate(time.Second))
	}
	return metav1.NewTime(w.Now().Truncate(time.Second))
}
