// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/operator/stack"
)

// ownedKinds are the kinds of generated objects that are watched. The generated
// Secret is not among them: Secrets are not watched.
func ownedKinds() []client.Object {
	return []client.Object{
		&corev1.ServiceAccount{}, &rbacv1.Role{}, &rbacv1.RoleBinding{}, &corev1.ConfigMap{},
		&corev1.Service{}, &appsv1.Deployment{}, &autoscalingv2.HorizontalPodAutoscaler{},
		&policyv1.PodDisruptionBudget{}, &networkingv1.NetworkPolicy{},
	}
}

// cacheOptions keeps the cache as small as what is looked at: of the kinds that
// everybody uses only the objects with our label, and of pods only what tells
// whether they serve.
func cacheOptions(namespaces []string) cache.Options {
	ours := labels.SelectorFromSet(labels.Set{stack.LabelManagedBy: stack.ManagedBy})
	o := cache.Options{ByObject: map[client.Object]cache.ByObject{
		&v1alpha1.Gateway{}:    {Transform: cache.TransformStripManagedFields()},
		&v1alpha1.Route{}:      {Transform: cache.TransformStripManagedFields()},
		&v1alpha1.Middleware{}: {Transform: cache.TransformStripManagedFields()},
		&corev1.Pod{}:          {Label: ours, Transform: trimPod},
	}}
	for _, kind := range ownedKinds() {
		// With managed fields: they tell what is ours.
		o.ByObject[kind] = cache.ByObject{Label: ours}
	}
	// With namespaces there is one watch of a kind in each of them, and none that
	// would take a right beyond.
	for _, ns := range namespaces {
		if o.DefaultNamespaces == nil {
			o.DefaultNamespaces = map[string]cache.Config{}
		}
		o.DefaultNamespaces[ns] = cache.Config{}
	}
	return o
}

// trimPod drops what is never read.
func trimPod(o any) (any, error) {
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return o, nil
	}
	return &corev1.Pod{
		TypeMeta: pod.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{
			Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
			Labels: pod.Labels, Annotations: pod.Annotations, DeletionTimestamp: pod.DeletionTimestamp,
			OwnerReferences: pod.OwnerReferences,
		},
		Status: corev1.PodStatus{
			Phase:             pod.Status.Phase,
			Conditions:        pod.Status.Conditions,
			ContainerStatuses: pod.Status.ContainerStatuses,
		},
	}, nil
}
