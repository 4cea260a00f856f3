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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/operator/apply"
	"gateway.jkaninda.dev/goma/internal/operator/stack"
)

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

// applyStack brings the objects of a Gateway to their desired state, and looks at
// those that its status tells of, also where they could not be brought there: the
// pods of yesterday still serve.
func (r *gatewayReconciler) applyStack(ctx context.Context, gw *v1alpha1.Gateway, w world, p plan, versions map[string]string) outcome {
	var out outcome
	if len(p.nameProblems) > 0 {
		return out
	}
	s := r.applyObjects(ctx, gw, w, p, versions, &out)
	if out.deployment == nil {
		var d appsv1.Deployment
		if found, err := r.live(ctx, gw, s.Deployment, &d); err != nil {
			out.failures = append(out.failures, err)
		} else if found {
			out.deployment = &d
		}
	}
	if out.service == nil {
		var svc corev1.Service
		if found, err := r.live(ctx, gw, s.Service, &svc); err != nil {
			out.failures = append(out.failures, err)
		} else if found {
			out.service = &svc
		}
	}
	return out
}

// live reads an object as it is, if the Gateway controls it.
func (r *gatewayReconciler) live(ctx context.Context, gw *v1alpha1.Gateway, o, into client.Object) (bool, error) {
	live, err := r.applier.Get(ctx, o)
	if err != nil || live == nil || !metav1.IsControlledBy(live, gw) {
		return false, err
	}
	return true, runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, into)
}

// applyObjects applies them in order. What the pods rest on comes first, and a
// failure there stops the rest: no pod runs with the account or the configuration
// of somebody else. The Service stands alone.
func (r *gatewayReconciler) applyObjects(ctx context.Context, gw *v1alpha1.Gateway, w world, p plan, versions map[string]string, out *outcome) stack.Stack {
	in := stack.Input{
		Gateway: gw, Config: p.config, RouteSecrets: p.routeSecrets, Pods: podNames(w.pods),
		Selector: w.selector, SecretVersions: versions, Images: r.images,
	}
	if secret := stack.Credentials(gw, p.config); secret != nil && p.tooLarge == "" {
		live, _, err := r.applier.Apply(ctx, secret)
		if err != nil {
			out.failures = append(out.failures, err)
			return stack.Build(in)
		}
		versions[secret.Name] = live.GetResourceVersion()
	}
	s := stack.Build(in)
	r.applyService(ctx, s.Service, out)
	if err := r.ensureStore(ctx, gw); err != nil {
		out.failures = append(out.failures, err)
		return s
	}
	for _, o := range s.Objects() {
		if o == client.Object(s.Service) || s.Credentials != nil && o == client.Object(s.Credentials) {
			continue
		}
		if err := r.applyOne(ctx, gw, p, o, out); err != nil {
			out.failures = append(out.failures, err)
			return s
		}
	}
	if err := r.prune(ctx, gw, s); err != nil {
		out.failures = append(out.failures, err)
	}
	return s
}

// storeSpace is the least time between two looks at the objects of a store, which are
// many and hardly ever missing.
const storeSpace = 5 * time.Minute

// ensureStore sees that there is a place for the certificates that the gateway obtains.
func (r *gatewayReconciler) ensureStore(ctx context.Context, gw *v1alpha1.Gateway) error {
	key, objects := client.ObjectKeyFromObject(gw), stack.Store(gw)
	if len(objects) == 0 || r.stores.wait(key) > 0 {
		return nil
	}
	for _, o := range objects {
		if err := r.applier.Ensure(ctx, o); err != nil {
			return err
		}
	}
	r.stores.done(key)
	return nil
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
		// The pods keep the configuration that they have, and so do those that
		// start in their place.
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
// listed.
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
