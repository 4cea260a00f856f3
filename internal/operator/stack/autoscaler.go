// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
)

const defaultMaxReplicas = 10

func autoscaler(gw *v1alpha1.Gateway) *autoscalingv2.HorizontalPodAutoscaler {
	a := gw.Spec.AutoScaling
	return &autoscalingv2.HorizontalPodAutoscaler{
		TypeMeta:   metav1.TypeMeta{APIVersion: "autoscaling/v2", Kind: "HorizontalPodAutoscaler"},
		ObjectMeta: meta(gw),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{
				APIVersion: "apps/v1", Kind: "Deployment", Name: gw.Name,
			},
			MinReplicas: new(MinReplicas(gw)),
			MaxReplicas: maxReplicas(a),
			Metrics:     metrics(a),
		},
	}
}

// MinReplicas is the lower bound of the autoscaler.
func MinReplicas(gw *v1alpha1.Gateway) int32 {
	a := gw.Spec.AutoScaling
	if a == nil || a.MinReplicas == nil || *a.MinReplicas < 1 {
		return 1
	}
	return *a.MinReplicas
}

func maxReplicas(a *v1alpha1.AutoScaling) int32 {
	if a.MaxReplicas < 1 {
		return defaultMaxReplicas
	}
	return a.MaxReplicas
}

func metrics(a *v1alpha1.AutoScaling) []autoscalingv2.MetricSpec {
	var out []autoscalingv2.MetricSpec
	if a.TargetCPUUtilizationPercentage != nil {
		out = append(out, utilization(corev1.ResourceCPU, *a.TargetCPUUtilizationPercentage))
	}
	if a.TargetMemoryUtilizationPercentage != nil {
		out = append(out, utilization(corev1.ResourceMemory, *a.TargetMemoryUtilizationPercentage))
	}
	return out
}

func utilization(name corev1.ResourceName, percent int32) autoscalingv2.MetricSpec {
	return autoscalingv2.MetricSpec{
		Type: autoscalingv2.ResourceMetricSourceType,
		Resource: &autoscalingv2.ResourceMetricSource{
			Name: name,
			Target: autoscalingv2.MetricTarget{
				Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &percent,
			},
		},
	}
}
