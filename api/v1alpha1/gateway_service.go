// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import corev1 "k8s.io/api/core/v1"

// Service is how the gateway is reached.
//
// +kubebuilder:validation:XValidation:rule="!has(self.httpPort) || !has(self.httpsPort) || self.httpPort != self.httpsPort",message="httpPort and httpsPort must differ"
// +kubebuilder:validation:XValidation:rule="!has(self.httpNodePort) || !has(self.httpsNodePort) || self.httpNodePort == 0 || self.httpNodePort != self.httpsNodePort",message="httpNodePort and httpsNodePort must differ"
// +kubebuilder:validation:XValidation:rule="(!has(self.httpNodePort) || self.httpNodePort == 0) && (!has(self.httpsNodePort) || self.httpsNodePort == 0) || has(self.type) && self.type in ['NodePort', 'LoadBalancer']",message="node ports need type NodePort or LoadBalancer"
type Service struct {
	// Type of the Service. Default ClusterIP.
	//
	// +optional
	// +kubebuilder:default=ClusterIP
	// +kubebuilder:validation:Enum=ClusterIP;NodePort;LoadBalancer
	Type corev1.ServiceType `json:"type,omitempty"`
	// Port of the Service for HTTP. Default 8080. The container listens on 8080 whatever it is.
	//
	// +optional
	// +kubebuilder:default=8080
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	HTTPPort int32 `json:"httpPort,omitempty"`
	// Port of the Service for HTTPS. Default 8443. The container listens on 8443 whatever it is.
	//
	// +optional
	// +kubebuilder:default=8443
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	HTTPSPort int32 `json:"httpsPort,omitempty"`
	// Node port for HTTP; 0 lets the cluster choose. Only with NodePort or LoadBalancer.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	HTTPNodePort int32 `json:"httpNodePort,omitempty"`
	// Node port for HTTPS; 0 lets the cluster choose. Only with NodePort or LoadBalancer.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	HTTPSNodePort int32 `json:"httpsNodePort,omitempty"`
	// IP address to ask of the load balancer, where the cloud allows it.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^([0-9A-Fa-f:.]*[0-9A-Fa-f])?$`
	LoadBalancerIP string `json:"loadBalancerIP,omitempty"`
	// Client networks that the load balancer admits, as CIDR blocks.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:Pattern=`^(([0-9]{1,3}\.){3}[0-9]{1,3}/([0-9]|[12][0-9]|3[0-2])|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*/([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8]))$`
	LoadBalancerSourceRanges []string `json:"loadBalancerSourceRanges,omitempty"`
	// Implementation of the load balancer, such as service.k8s.aws/nlb. Fixed once the
	// Service has it.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=316
	LoadBalancerClass *string `json:"loadBalancerClass,omitempty"`
	// Local keeps client addresses, Cluster spreads better. Default Cluster. Has an effect on
	// NodePort and LoadBalancer only.
	//
	// +optional
	// +kubebuilder:default=Cluster
	// +kubebuilder:validation:Enum=Cluster;Local
	ExternalTrafficPolicy corev1.ServiceExternalTrafficPolicy `json:"externalTrafficPolicy,omitempty"`
	// ClientIP keeps a client on one pod. Default None.
	//
	// +optional
	// +kubebuilder:default=None
	// +kubebuilder:validation:Enum=None;ClientIP
	SessionAffinity corev1.ServiceAffinity `json:"sessionAffinity,omitempty"`
	// Annotations merged onto the Service, such as those that tune a cloud's load balancer.
	//
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
	// Labels merged onto the Service.
	//
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// Whether the Service has addresses of one IP family or two. Default: the cluster's.
	//
	// +optional
	// +kubebuilder:validation:Enum=SingleStack;PreferDualStack;RequireDualStack
	IPFamilyPolicy *corev1.IPFamilyPolicy `json:"ipFamilyPolicy,omitempty"`
	// IPv4, IPv6, or both in the order of preference. Default: the cluster's.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:items:Enum=IPv4;IPv6
	IPFamilies []corev1.IPFamily `json:"ipFamilies,omitempty"`
}
