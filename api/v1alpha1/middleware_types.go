// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Middleware is a step that Routes can name: authentication, limits, headers,
// redirects.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name=Type,type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name=Ready,type=boolean,JSONPath=`.status.ready`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type Middleware struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   MiddlewareSpec   `json:"spec,omitempty"`
	Status MiddlewareStatus `json:"status,omitempty"`
}

// MiddlewareList is a list of Middlewares.
//
// +kubebuilder:object:root=true
type MiddlewareList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Middleware `json:"items"`
}

// MiddlewareSpec is a step for Routes.
type MiddlewareSpec struct {
	// Type of the middleware; it decides what rule may hold.
	// ---
	// The types are listed in internal/schema/rules, which completes the definition.
	Type string `json:"type"`
	// Part of the route that the middleware is for: paths, or regular expressions. Default:
	// all of it.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=2048
	Paths []string `json:"paths,omitempty"`
	// Settings of the type, or an armored PGP message that holds them.
	//
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Schemaless
	Rule *apiextensionsv1.JSON `json:"rule,omitempty"`
}

// MiddlewareStatus is what is known of a Middleware.
type MiddlewareStatus struct {
	// The middleware can be built.
	Ready bool `json:"ready"`
	// Routes of this namespace that name the middleware, sorted.
	//
	// +optional
	// +listType=atomic
	ReferencedBy []string `json:"referencedBy,omitempty"`
	// What is known of the object, each with reason and remedy.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
