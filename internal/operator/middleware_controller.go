// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/operator/status"
)

// middlewareSpace is the time between two writes of one Middleware's status: a
// thousand Routes that come to use it are a few writes.
const middlewareSpace = 2 * time.Second

// secretLook is when to look again at the Secrets of a Middleware, which are there:
// nobody announces that one is gone. The gateway does not wait for that.
const secretLook = time.Minute

// middlewareReconciler judges Middlewares.
type middlewareReconciler struct {
	client  client.Client
	writer  *status.Writer
	secrets *secrets
	writes  *pace
}

// Reconcile judges one Middleware and writes its status.
func (r *middlewareReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var m v1alpha1.Middleware
	err := r.client.Get(ctx, req.NamespacedName, &m)
	if apierrors.IsNotFound(err) {
		r.writes.forget(req.NamespacedName)
		r.writer.Forget("Middleware", req.NamespacedName)
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if wait := r.writes.wait(req.NamespacedName); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	users, err := r.users(ctx, &m)
	if err != nil {
		return ctrl.Result{}, err
	}
	named, missing, err := r.secrets.middlewareSecrets(ctx, &m)
	if err != nil {
		return ctrl.Result{}, err
	}
	written, err := r.writer.Middleware(ctx, &m, status.Middleware(status.MiddlewareFacts{
		Middleware: &m, Problems: append(checkMiddleware(&m), missing...), ReferencedBy: users,
	}))
	if status.Again(err) {
		return ctrl.Result{RequeueAfter: passSpace}, nil
	}
	if written {
		r.writes.done(req.NamespacedName)
	}
	result := ctrl.Result{}
	switch {
	case len(missing) > 0:
		result.RequeueAfter = secretRetry
	case named > 0:
		result.RequeueAfter = secretLook
	}
	return result, client.IgnoreNotFound(err)
}

// users names the Routes that list the Middleware, sorted.
func (r *middlewareReconciler) users(ctx context.Context, m *v1alpha1.Middleware) ([]string, error) {
	var routes v1alpha1.RouteList
	err := r.client.List(ctx, &routes, client.InNamespace(m.Namespace),
		client.MatchingFields{indexRouteMiddleware: m.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("listing the Routes that use Middleware %s: %w", m.Name, err)
	}
	var names []string
	for i := range routes.Items {
		names = append(names, routes.Items[i].Name)
	}
	slices.Sort(names)
	return names, nil
}
