// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// ServiceAccount is the account that the pods run as; it is named like the Gateway.
type ServiceAccount struct {
	// Annotations of the ServiceAccount, for instance the role of a cloud. They are merged with
	// those of others.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Annotations map[string]string `json:"annotations,omitempty"`
}

// PodDisruptionBudget bounds how many pods a drain of nodes may take at once.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minAvailable) || !has(self.maxUnavailable)",message="name minAvailable or maxUnavailable, not both"
type PodDisruptionBudget struct {
	// Creates a PodDisruptionBudget. Default: where the Gateway has two or more pods at least.
	//
	// +optional
	Enabled *bool `json:"enabled,omitempty"`
	// Pods that stay, as a number or a share such as 50%. A budget that every pod counts for
	// keeps nodes from being drained.
	//
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:Pattern=`^([0-9]+|[0-9]{1,2}%|100%)$`
	MinAvailable *intstr.IntOrString `json:"minAvailable,omitempty"`
	// Pods that may go at once, as a number or a share. Default 1.
	//
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:Pattern=`^([0-9]+|[0-9]{1,2}%|100%)$`
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
}

// NetworkPolicy bounds who may open connections to the pods. What they may connect to is left alone.
type NetworkPolicy struct {
	// Creates a NetworkPolicy. Default false.
	//
	// +optional
	Enabled bool `json:"enabled,omitempty"`
	// Who may reach the HTTP and HTTPS ports. Default: everybody.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=64
	From []networkingv1.NetworkPolicyPeer `json:"from,omitempty"`
	// Who may reach the internal port 9902, with probes and metrics, and the port 9903 of the
	// sidecar. Default: nobody but the node itself.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=64
	AdminFrom []networkingv1.NetworkPolicyPeer `json:"adminFrom,omitempty"`
}
