// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// GatewayStatus is what is known of a Gateway.
type GatewayStatus struct {
	// Pods that exist.
	Replicas int32 `json:"replicas"`
	// Pods that are ready.
	ReadyReplicas int32 `json:"readyReplicas"`
	// Valid, enabled Routes of this Gateway.
	Routes int32 `json:"routes"`
	// Middlewares in use.
	Middlewares int32 `json:"middlewares"`
	// SHA-256 of the generated goma.yml, in hex.
	//
	// +optional
	ConfigChecksum string `json:"configChecksum,omitempty"`
	// Images that the ready pods run, each once. While pods are replaced there are two of a container.
	//
	// +optional
	// +listType=atomic
	Images []GatewayImage `json:"images,omitempty"`
	// Where the gateway can be reached.
	//
	// +optional
	// +listType=atomic
	Addresses []GatewayAddress `json:"addresses,omitempty"`
	// What is known of the object, each with reason and remedy.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// GatewayImage is an image that a container of the pods runs.
type GatewayImage struct {
	// Name of the container.
	Container string `json:"container"`
	// Image as its pod asks for it.
	Image string `json:"image"`
	// What the node has pulled for that name: a tag may mean something else tomorrow.
	//
	// +optional
	Digest string `json:"digest,omitempty"`
}

// GatewayAddress is one address of the gateway.
type GatewayAddress struct {
	// Kind of the address.
	//
	// +kubebuilder:validation:Enum=IPAddress;Hostname
	Type string `json:"type"`
	// The address.
	Value string `json:"value"`
}
