// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Gateway is a complete, running API gateway: the operator turns it into a Deployment,
// a Service, a ConfigMap and, when asked, an autoscaler, all of its name.
//
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$')",message="the name of a Gateway is also that of its Service: use at most 63 lower case letters, digits and '-', a letter first"
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name=Type,type=string,JSONPath=`.spec.service.type`
// +kubebuilder:printcolumn:name=Address,type=string,JSONPath=`.status.addresses[0].value`
// +kubebuilder:printcolumn:name=Replicas,type=integer,JSONPath=`.status.replicas`
// +kubebuilder:printcolumn:name=Ready,type=integer,JSONPath=`.status.readyReplicas`
// +kubebuilder:printcolumn:name=Routes,type=integer,JSONPath=`.status.routes`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type Gateway struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   GatewaySpec   `json:"spec,omitempty"`
	Status GatewayStatus `json:"status,omitempty"`
}

// GatewayList is a list of Gateways.
//
// +kubebuilder:object:root=true
type GatewayList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Gateway `json:"items"`
}

// GatewaySpec is the wished state of a Gateway. Everything has a default.
type GatewaySpec struct {
	// Image of the gateway container. Default jkaninda/goma-gateway:latest. A change rolls
	// the pods.
	//
	// +optional
	// +kubebuilder:default="jkaninda/goma-gateway:latest"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:Pattern=`^[^\s]+$`
	// +kubebuilder:validation:MaxLength=1024
	Image string `json:"image,omitempty"`
	// Number of gateway pods. Default 1. Ignored while autoScaling.enabled is true, because the
	// autoscaler owns the number then.
	//
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	Replicas *int32 `json:"replicas,omitempty"`
	// Secrets used to pull the images.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=32
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`
	// CPU and memory requests and limits of the gateway container.
	//
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitempty"`
	// Scheduling constraints of the pods.
	//
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`
	// Labels of nodes that the pods may run on.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// Taints of nodes that the pods bear.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=64
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
	// How the pods are spread. Default: over nodes, as far as it can be done, unless affinity
	// says where they go. An empty list spreads nothing.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=16
	TopologySpreadConstraints *[]corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`
	// Name of a PriorityClass.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	PriorityClassName string `json:"priorityClassName,omitempty"`
	// Annotations of the pods. A change rolls them.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('goma.jkaninda.dev/') && !k.startsWith('gateway.jkaninda.dev/'))",message="annotations of goma.jkaninda.dev and gateway.jkaninda.dev are the operator's"
	PodAnnotations map[string]string `json:"podAnnotations,omitempty"`
	// Labels of the pods, beside those by which they are found. A change rolls them.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, !(k in ['app', 'app.kubernetes.io/managed-by', 'app.kubernetes.io/part-of', 'gateway.jkaninda.dev/gateway']))",message="the labels app, app.kubernetes.io/managed-by, app.kubernetes.io/part-of and gateway.jkaninda.dev/gateway are the operator's"
	PodLabels map[string]string `json:"podLabels,omitempty"`
	// More variables of the gateway container, for instance for ${NAME} in routes. A change rolls
	// the pods.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:XValidation:rule="self.all(e, !(e.name in ['GOMA_ENTRYPOINT_ADMIN_ADDRESS', 'GOMA_SECRETS_DIR', 'GOMA_DRAIN_DELAY', 'GOMA_GRACE_PERIOD']))",message="GOMA_ENTRYPOINT_ADMIN_ADDRESS, GOMA_SECRETS_DIR, GOMA_DRAIN_DELAY and GOMA_GRACE_PERIOD are the operator's; terminationGracePeriodSeconds sets the last two"
	Env []corev1.EnvVar `json:"env,omitempty"`
	// The ServiceAccount of the pods.
	//
	// +optional
	ServiceAccount *ServiceAccount `json:"serviceAccount,omitempty"`
	// How pods are replaced. Default: one new pod becomes ready before an old one goes.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.rollingUpdate) || !has(self.type) || self.type == 'RollingUpdate'",message="rollingUpdate goes with the type RollingUpdate only"
	Strategy *appsv1.DeploymentStrategy `json:"strategy,omitempty"`
	// Seconds from the order to stop until a pod is killed. The gateway serves on for up to 5 of
	// them, then finishes what runs. Default 60.
	//
	// +optional
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=86400
	TerminationGracePeriodSeconds *int64 `json:"terminationGracePeriodSeconds,omitempty"`
	// How many pods a drain of nodes may take at once. Default: one, where there are two or more.
	//
	// +optional
	PodDisruptionBudget *PodDisruptionBudget `json:"podDisruptionBudget,omitempty"`
	// Who may open connections to the pods. Default: no policy of our own.
	//
	// +optional
	NetworkPolicy *NetworkPolicy `json:"networkPolicy,omitempty"`
	// Scaling by load. Off when absent.
	//
	// +optional
	AutoScaling *AutoScaling `json:"autoScaling,omitempty"`
	// How the gateway runs: log, timeouts, certificates, Redis, monitoring, networking.
	//
	// +optional
	Server *Server `json:"server,omitempty"`
	// How the gateway is reached. Default: a ClusterIP Service with the ports 8080 and 8443.
	//
	// +optional
	Service *Service `json:"service,omitempty"`
	// Built-in issuance of certificates. Off when absent.
	//
	// +optional
	CertManager *CertManager `json:"certManager,omitempty"`
	// Where routes and middlewares come from. The Kubernetes sidecar is on by default.
	//
	// +optional
	Providers *Providers `json:"providers,omitempty"`
}

// AutoScaling scales the pods by load.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",message="minReplicas must not be greater than maxReplicas"
type AutoScaling struct {
	// Creates a HorizontalPodAutoscaler. Default false.
	//
	// +optional
	Enabled bool `json:"enabled,omitempty"`
	// Fewest pods. Default 1.
	//
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	MinReplicas *int32 `json:"minReplicas,omitempty"`
	// Most pods, not below minReplicas. Default 10.
	//
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	MaxReplicas int32 `json:"maxReplicas,omitempty"`
	// Average CPU use to aim at, in percent of what the containers request. No default:
	// without it CPU does not scale.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	TargetCPUUtilizationPercentage *int32 `json:"targetCPUUtilizationPercentage,omitempty"`
	// Average memory use to aim at, in percent of what the containers request. No default:
	// without it memory does not scale.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	TargetMemoryUtilizationPercentage *int32 `json:"targetMemoryUtilizationPercentage,omitempty"`
}
