// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/translate"
)

// userID is the user and group of every container: no file of the images
// belongs to it, so a process can change only what is mounted for it.
const userID = 65532

func deployment(in Input) *appsv1.Deployment {
	gw := in.Gateway
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: meta(gw),
		Spec: appsv1.DeploymentSpec{
			Replicas: replicas(gw),
			Selector: &metav1.LabelSelector{MatchLabels: deploymentSelector(in)},
			Strategy: strategy(gw),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: podLabels(in), Annotations: podAnnotations(in)},
				Spec:       podSpec(in),
			},
		},
	}
}

// strategy has a new pod become ready before an old one goes, unless the user wants
// it otherwise. What a user leaves open of a rolling update is as by default.
func strategy(gw *v1alpha1.Gateway) appsv1.DeploymentStrategy {
	out := appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType}
	wish := &appsv1.RollingUpdateDeployment{}
	if s := gw.Spec.Strategy; s != nil {
		if s.Type != "" && s.Type != appsv1.RollingUpdateDeploymentStrategyType {
			return appsv1.DeploymentStrategy{Type: s.Type}
		}
		if s.RollingUpdate != nil {
			wish = s.RollingUpdate
		}
	}
	out.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxUnavailable: wish.MaxUnavailable, MaxSurge: wish.MaxSurge}
	if out.RollingUpdate.MaxUnavailable == nil {
		out.RollingUpdate.MaxUnavailable = new(intstr.FromInt32(0))
	}
	if out.RollingUpdate.MaxSurge == nil {
		out.RollingUpdate.MaxSurge = new(intstr.FromInt32(1))
	}
	return out
}

// replicas is nil while an autoscaler owns the count: what is not sent is not owned.
func replicas(gw *v1alpha1.Gateway) *int32 {
	switch {
	case Autoscaled(gw):
		return nil
	case gw.Spec.Replicas == nil:
		return new(int32(1))
	}
	return new(*gw.Spec.Replicas)
}

func deploymentSelector(in Input) map[string]string {
	if in.Selector != nil {
		return in.Selector
	}
	return selector(in.Gateway.Name)
}

// podLabels are the user's, and satisfy both the Deployment's selector, which may be
// an older one, and the Service's.
func podLabels(in Input) map[string]string {
	labels := map[string]string{}
	maps.Copy(labels, in.Gateway.Spec.PodLabels)
	maps.Copy(labels, deploymentSelector(in))
	maps.Copy(labels, Labels(in.Gateway.Name))
	return labels
}

func podAnnotations(in Input) map[string]string {
	out := map[string]string{}
	maps.Copy(out, in.Gateway.Spec.PodAnnotations)
	out[AnnotationConfigHash] = in.Config.RestartHash
	if len(in.SecretVersions) == 0 {
		return out
	}
	var versions []string
	for _, name := range slices.Sorted(maps.Keys(in.SecretVersions)) {
		versions = append(versions, name+"@"+in.SecretVersions[name])
	}
	out[AnnotationSecretVersions] = strings.Join(versions, ",")
	return out
}

func podSpec(in Input) corev1.PodSpec {
	gw := in.Gateway
	spec := corev1.PodSpec{
		ServiceAccountName: gw.Name,
		// The token is mounted into the sidecar alone; the gateway has no rights.
		AutomountServiceAccountToken:  new(false),
		EnableServiceLinks:            new(false),
		ImagePullSecrets:              gw.Spec.ImagePullSecrets,
		Affinity:                      gw.Spec.Affinity,
		TopologySpreadConstraints:     spread(in),
		NodeSelector:                  gw.Spec.NodeSelector,
		Tolerations:                   gw.Spec.Tolerations,
		PriorityClassName:             gw.Spec.PriorityClassName,
		TerminationGracePeriodSeconds: new(gracePeriod(gw)),
		SecurityContext:               podSecurity(),
		Containers:                    []corev1.Container{gatewayContainer(in)},
		Volumes:                       volumes(in),
	}
	if translate.SidecarEnabled(gw) {
		spec.Containers = append(spec.Containers, sidecar(in))
	}
	return spec
}

// spread keeps replicas apart where it can, unless the user says where they go. A
// constraint without a selector counts the pods of the Gateway.
func spread(in Input) []corev1.TopologySpreadConstraint {
	if wish := in.Gateway.Spec.TopologySpreadConstraints; wish != nil {
		out := slices.Clone(*wish)
		for i := range out {
			if out[i].LabelSelector == nil {
				out[i].LabelSelector = &metav1.LabelSelector{MatchLabels: deploymentSelector(in)}
			}
		}
		return out
	}
	if in.Gateway.Spec.Affinity != nil {
		return nil
	}
	return []corev1.TopologySpreadConstraint{{
		MaxSkew:           1,
		TopologyKey:       "kubernetes.io/hostname",
		WhenUnsatisfiable: corev1.ScheduleAnyway,
		LabelSelector:     &metav1.LabelSelector{MatchLabels: deploymentSelector(in)},
	}}
}

// podSecurity and containerSecurity together satisfy the restricted profile.
func podSecurity() *corev1.PodSecurityContext {
	return &corev1.PodSecurityContext{
		RunAsNonRoot:        new(true),
		RunAsUser:           new(int64(userID)),
		RunAsGroup:          new(int64(userID)),
		FSGroup:             new(int64(userID)),
		FSGroupChangePolicy: new(corev1.FSGroupChangeOnRootMismatch),
		SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

func containerSecurity() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		ReadOnlyRootFilesystem:   new(true),
		RunAsNonRoot:             new(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}
