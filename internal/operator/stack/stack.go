// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/translate"
)

// Input is all that the stack of a Gateway depends on.
type Input struct {
	// Gateway is the wish. Fields that the API server would default may be empty.
	Gateway *v1alpha1.Gateway
	// Config is the content of goma.yml and what of it needs a restart.
	Config Config
	// RouteSecrets names the Secrets that the Routes of the Gateway, and the
	// Middlewares that these use, refer to: the sidecar may read them or, without sidecar, the pods mount them.
	RouteSecrets []string
	// Pods names the present pods of the Gateway: their sidecars may write what
	// the gateway answered into an annotation of their own pod.
	Pods []string
	// Selector is the selector of the Deployment as it is, nil when there is
	// none yet. Selectors cannot be changed, so an older one is kept.
	Selector map[string]string
	// SecretVersions gives the resource version of each Secret that the pods
	// read into their environment. A new version rolls the pods: a process does
	// not see its environment change.
	SecretVersions map[string]string
	// Images are taken where the Gateway has the documented ones.
	Images Images
}

// Stack is the desired state. Nil members are not wanted.
type Stack struct {
	ServiceAccount *corev1.ServiceAccount
	Role           *rbacv1.Role
	RoleBinding    *rbacv1.RoleBinding
	Credentials    *corev1.Secret
	ConfigMap      *corev1.ConfigMap
	Service        *corev1.Service
	Deployment     *appsv1.Deployment
	HPA            *autoscalingv2.HorizontalPodAutoscaler
	Budget         *policyv1.PodDisruptionBudget
	NetworkPolicy  *networkingv1.NetworkPolicy
}

// Build gives the stack of a Gateway.
func Build(in Input) Stack {
	s := Stack{
		ServiceAccount: serviceAccount(in.Gateway),
		Credentials:    Credentials(in.Gateway, in.Config),
		ConfigMap:      configMap(in.Gateway, in.Config),
		Service:        service(in.Gateway),
		Deployment:     deployment(in),
	}
	if translate.SidecarEnabled(in.Gateway) {
		s.Role = role(in)
		s.RoleBinding = roleBinding(in.Gateway)
	}
	if Autoscaled(in.Gateway) {
		s.HPA = autoscaler(in.Gateway)
	}
	s.Budget = budget(in)
	s.NetworkPolicy = networkPolicy(in)
	return s
}

// Objects gives the objects in the order in which they are applied: what pods
// need before the pods, and what scales them last.
func (s Stack) Objects() []client.Object {
	var out []client.Object
	out = present(out, s.ServiceAccount)
	out = present(out, s.Role)
	out = present(out, s.RoleBinding)
	out = present(out, s.Credentials)
	out = present(out, s.ConfigMap)
	out = present(out, s.Service)
	out = present(out, s.NetworkPolicy)
	out = present(out, s.Deployment)
	out = present(out, s.Budget)
	return present(out, s.HPA)
}

// present appends o unless it is nil, which an interface alone cannot tell.
func present[T any, P interface {
	*T
	client.Object
}](list []client.Object, o P) []client.Object {
	if o == nil {
		return list
	}
	return append(list, o)
}

// Autoscaled tells whether a HorizontalPodAutoscaler owns the replica count.
func Autoscaled(gw *v1alpha1.Gateway) bool {
	return gw.Spec.AutoScaling != nil && gw.Spec.AutoScaling.Enabled
}

// meta is the metadata that every object of a Gateway carries: all of them are
// named like it, owned by it, and found by the same labels.
func meta(gw *v1alpha1.Gateway) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:            gw.Name,
		Namespace:       gw.Namespace,
		Labels:          Labels(gw.Name),
		OwnerReferences: []metav1.OwnerReference{owner(gw)},
	}
}

// owner makes the garbage collector delete the object with its Gateway.
// blockOwnerDeletion stays false: it would need update rights on finalizers and
// only matters for foreground deletion.
func owner(gw *v1alpha1.Gateway) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(),
		Kind:       "Gateway",
		Name:       gw.Name,
		UID:        gw.UID,
		Controller: new(true),
	}
}
