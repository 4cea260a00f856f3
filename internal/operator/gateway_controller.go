// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/operator/apply"
	"gateway.jkaninda.dev/goma/internal/operator/board"
	"gateway.jkaninda.dev/goma/internal/operator/stack"
	"gateway.jkaninda.dev/goma/internal/operator/status"
	"gateway.jkaninda.dev/goma/internal/translate"
)

// Spaces between two passes over one Gateway, and two writes of its status. A
// thousand Routes applied at once are a few passes and a few writes.
const (
	passSpace   = 100 * time.Millisecond
	statusSpace = 2 * time.Second
)

// formerFinalizer is what earlier releases put on every Gateway. It has no work
// to do and blocks deletion while no operator runs.
const formerFinalizer = "gateway.jkaninda.dev/finalizer"

// gatewayReconciler looks at a Gateway and everything that belongs to it.
type gatewayReconciler struct {
	client  client.Client
	applier *apply.Applier
	writer  *status.Writer
	secrets *secrets
	board   *board.Board
	// wake is told which Routes stand differently than before.
	wake   func(namespace string, routes []string)
	resync time.Duration
	images stack.Images

	passes, writes, stores *pace
	// announcements are the events of certificates.
	announcements *announcements
}

// Reconcile is one pass.
func (r *gatewayReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if wait := r.passes.wait(req.NamespacedName); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	defer r.passes.done(req.NamespacedName)
	var gw v1alpha1.Gateway
	err := r.client.Get(ctx, req.NamespacedName, &gw)
	if apierrors.IsNotFound(err) {
		r.forget(req.NamespacedName)
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.dropFormerFinalizer(ctx, &gw); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if gw.DeletionTimestamp != nil {
		// What was generated goes by owner references.
		return ctrl.Result{}, nil
	}
	return r.pass(ctx, &gw)
}

func (r *gatewayReconciler) pass(ctx context.Context, gw *v1alpha1.Gateway) (ctrl.Result, error) {
	w, err := r.observe(ctx, gw)
	if err != nil {
		return ctrl.Result{}, err
	}
	p, err := newPlan(gw, w)
	if err != nil {
		return ctrl.Result{}, err
	}
	refs, versions, err := r.references(ctx, gw, p)
	if err != nil {
		return ctrl.Result{}, err
	}
	done := r.applyStack(ctx, gw, w, p, versions)
	r.wake(gw.Namespace, r.board.Update(client.ObjectKeyFromObject(gw), p.wanted, answers(w.pods, p)))
	r.announcements.tell(gw, r.board.Certificates(client.ObjectKeyFromObject(gw)), p.wanted.Hosts)
	result := ctrl.Result{RequeueAfter: r.resync}
	if len(refs) > 0 {
		result.RequeueAfter = secretRetry
	}
	facts := r.facts(gw, w, p, done)
	facts.Refs = refs
	wait, err := r.report(ctx, gw, facts)
	if wait > 0 {
		result.RequeueAfter = min(result.RequeueAfter, wait)
	}
	return result, errors.Join(err, done.retry())
}

// facts gathers what the judgement needs.
func (r *gatewayReconciler) facts(gw *v1alpha1.Gateway, w world, p plan, done outcome) status.GatewayFacts {
	f := status.GatewayFacts{
		Gateway:        gw,
		Spec:           p.problems,
		Failures:       done.failures,
		ConfigTooLarge: p.tooLarge,
		Checksum:       gw.Status.ConfigChecksum,
		Routes:         p.served,
		Middlewares:    len(p.bundle.Middlewares),
		Deployment:     done.deployment,
		Service:        done.service,
		Images:         images(w.pods),
		Trouble:        trouble(w.pods),
	}
	if done.configured {
		f.Checksum = p.config.Checksum
	}
	f.Current, f.Ready = r.board.Progress(client.ObjectKeyFromObject(gw))
	return f
}

// report writes the status, unless the last write was a moment ago; then it
// tells how long to wait.
func (r *gatewayReconciler) report(ctx context.Context, gw *v1alpha1.Gateway, f status.GatewayFacts) (time.Duration, error) {
	key := client.ObjectKeyFromObject(gw)
	s := status.Gateway(f)
	if wait := r.writes.wait(key); wait > 0 {
		return wait, nil
	}
	written, err := r.writer.Gateway(ctx, gw, s)
	if status.Again(err) || apierrors.IsNotFound(err) {
		return passSpace, nil
	}
	if written {
		r.writes.done(key)
	}
	return 0, err
}

// dropFormerFinalizer changes nothing but the list of finalizers.
func (r *gatewayReconciler) dropFormerFinalizer(ctx context.Context, gw *v1alpha1.Gateway) error {
	if !controllerutil.ContainsFinalizer(gw, formerFinalizer) {
		return nil
	}
	before := gw.DeepCopy()
	controllerutil.RemoveFinalizer(gw, formerFinalizer)
	return r.client.Patch(ctx, gw, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}),
		client.FieldOwner(apply.FieldOwner))
}

func (r *gatewayReconciler) forget(key types.NamespacedName) {
	r.wake(key.Namespace, r.board.Forget(key))
	r.passes.forget(key)
	r.writes.forget(key)
	r.stores.forget(key)
	r.announcements.forget(key)
	r.writer.Forget("Gateway", key)
}

// sidecarOf is a shorthand that reads well in plans.
func sidecarOf(gw *v1alpha1.Gateway) bool { return translate.SidecarEnabled(gw) }
