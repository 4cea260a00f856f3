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
			// A new pod is ready before an old one goes, always.
			Strategy: appsv1.DeploymentStrategy{
				Type: appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{
					MaxUnavailable: new(intstr.FromInt32(0)),
					MaxSurge:       new(intstr.FromInt32(1)),
				},
			},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: podLabels(in), Annotations: podAnnotations(in)},
				Spec:       podSpec(in),
			},
		},
	}
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

// podLabels satisfy both the Deployment's selector, which may be an older one,
// and the Service's.
func podLabels(in Input) map[string]string {
	labels := maps.Clone(deploymentSelector(in))
	maps.Copy(labels, Labels(in.Gateway.Name))
	return labels
}

func podAnnotations(in Input) map[string]string {
	out := map[string]string{AnnotationConfigHash: in.Config.RestartHash}
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
		TerminationGracePeriodSeconds: new(int64(gracePeriodSeconds)),
		SecurityContext:               podSecurity(),
		Containers:                    []corev1.Container{gatewayContainer(gw, in.RouteSecrets)},
		Volumes:                       volumes(in),
	}
	if translate.SidecarEnabled(gw) {
		spec.Containers = append(spec.Containers, sidecar(gw))
	}
	return spec
}

// spread keeps replicas apart where it can, unless the user says where they go.
func spread(in Input) []corev1.TopologySpreadConstraint {
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
