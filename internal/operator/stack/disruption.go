// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
)

// budget lets a drain of nodes take one pod at a time. It is nil where one pod is
// all there is: then it would only say what is so anyway. E2
func budget(in Input) *policyv1.PodDisruptionBudget {
	wish := in.Gateway.Spec.PodDisruptionBudget
	if wish == nil {
		wish = &v1alpha1.PodDisruptionBudget{}
	}
	wanted := fewestPods(in.Gateway) >= 2
	if wish.Enabled != nil {
		wanted = *wish.Enabled
	}
	if !wanted {
		return nil
	}
	spec := policyv1.PodDisruptionBudgetSpec{
		Selector:       &metav1.LabelSelector{MatchLabels: deploymentSelector(in)},
		MinAvailable:   wish.MinAvailable,
		MaxUnavailable: wish.MaxUnavailable,
		// A pod that does not work holds no drain up.
		UnhealthyPodEvictionPolicy: new(policyv1.AlwaysAllow),
	}
	if spec.MinAvailable == nil && spec.MaxUnavailable == nil {
		spec.MaxUnavailable = new(intstr.FromInt32(1))
	}
	return &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
		ObjectMeta: meta(in.Gateway),
		Spec:       spec,
	}
}

// fewestPods is how many pods a Gateway has at least.
func fewestPods(gw *v1alpha1.Gateway) int32 {
	if Autoscaled(gw) {
		return MinReplicas(gw)
	}
	return *replicas(gw)
}
