// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"errors"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
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

	passes, writes *pace
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
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		// The Gateway has changed meanwhile; its event is on the way.
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
}

// outcome is what became of a stack.
type outcome struct {
	failures []error
	// configured tells that goma.yml is in place.
	configured bool
	deployment *appsv1.Deployment
	service    *corev1.Service
}

// retry gives the failures that may pass by themselves. Collisions and refused
// objects wait for a change, or for the resync.
func (o outcome) retry() error {
	var out []error
	for _, err := range o.failures {
		var collision *apply.CollisionError
		var rejected *apply.RejectedError
		if !errors.As(err, &collision) && !errors.As(err, &rejected) {
			out = append(out, err)
		}
	}
	return errors.Join(out...)
}

// applyStack brings the objects of a Gateway to their desired state. What the
// pods rest on comes first, and a failure there stops the rest: no pod runs with
// the account or the configuration of somebody else. The Service stands alone.
func (r *gatewayReconciler) applyStack(ctx context.Context, gw *v1alpha1.Gateway, w world, p plan, versions map[string]string) outcome {
	var out outcome
	if len(p.nameProblems) > 0 {
		return out
	}
	in := stack.Input{
		Gateway: gw, Config: p.config, RouteSecrets: p.routeSecrets, Pods: podNames(w.pods),
		Selector: w.selector, SecretVersions: versions,
	}
	if secret := stack.Credentials(gw, p.config); secret != nil {
		live, _, err := r.applier.Apply(ctx, secret)
		if err != nil {
			out.failures = append(out.failures, err)
			return out
		}
		versions[secret.Name] = live.GetResourceVersion()
	}
	s := stack.Build(in)
	r.applyService(ctx, s.Service, &out)
	for _, o := range s.Objects() {
		if o == client.Object(s.Service) || s.Credentials != nil && o == client.Object(s.Credentials) {
			continue
		}
		if err := r.applyOne(ctx, gw, p, o, &out); err != nil {
			out.failures = append(out.failures, err)
			return out
		}
	}
	if err := r.prune(ctx, gw, s); err != nil {
		out.failures = append(out.failures, err)
	}
	return out
}

func (r *gatewayReconciler) applyService(ctx context.Context, desired *corev1.Service, out *outcome) {
	live, _, err := r.applier.Apply(ctx, desired)
	if err != nil {
		out.failures = append(out.failures, err)
		return
	}
	out.service = &corev1.Service{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, out.service); err != nil {
		out.failures = append(out.failures, err)
	}
}

func (r *gatewayReconciler) applyOne(ctx context.Context, gw *v1alpha1.Gateway, p plan, o client.Object, out *outcome) error {
	_, isConfig := o.(*corev1.ConfigMap)
	_, isDeployment := o.(*appsv1.Deployment)
	if p.tooLarge != "" && (isConfig || isDeployment) {
		// The pods keep the configuration that they have.
		return nil
	}
	if isDeployment && stack.Autoscaled(gw) {
		if err := r.applier.ReleaseReplicas(ctx, o, stack.MinReplicas(gw)); err != nil {
			return err
		}
	}
	live, _, err := r.applier.Apply(ctx, o)
	if err != nil {
		return err
	}
	out.configured = out.configured || isConfig
	if !isDeployment {
		return nil
	}
	out.deployment = &appsv1.Deployment{}
	return runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, out.deployment)
}

// prune deletes what the Gateway controls and no longer asks for: the autoscaler
// that was turned off, the rights of a sidecar that is gone, and objects that an
// earlier release gave other names.
func (r *gatewayReconciler) prune(ctx context.Context, gw *v1alpha1.Gateway, s stack.Stack) error {
	wanted := s.Objects()
	for _, kind := range ownedKinds() {
		list, err := r.controlled(ctx, gw, kind)
		if err != nil {
			return err
		}
		for _, o := range list {
			if !slices.ContainsFunc(wanted, func(w client.Object) bool { return sameObject(w, o) }) {
				if err := r.applier.Delete(ctx, gw.UID, o); err != nil {
					return err
				}
			}
		}
	}
	return r.pruneCredentials(ctx, gw, s)
}

// pruneCredentials asks for the generated Secret by name, since Secrets are not
// listed, and only when the pods were given one before.
func (r *gatewayReconciler) pruneCredentials(ctx context.Context, gw *v1alpha1.Gateway, s stack.Stack) error {
	if s.Credentials != nil {
		return nil
	}
	key := types.NamespacedName{Namespace: gw.Namespace, Name: stack.CredentialsName(gw.Name)}
	exists, err := r.secrets.exists(ctx, key)
	if err != nil || !exists {
		return err
	}
	var secret corev1.Secret
	if err := r.client.Get(ctx, key, &secret); err != nil {
		return client.IgnoreNotFound(err)
	}
	return r.applier.Delete(ctx, gw.UID, &secret)
}

// sidecarOf is a shorthand that reads well in plans.
func sidecarOf(gw *v1alpha1.Gateway) bool { return translate.SidecarEnabled(gw) }
