// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +kubebuilder:object:root=true
type Middleware struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   MiddlewareSpec   `json:"spec,omitempty"`
	Status MiddlewareStatus `json:"status,omitempty"`
}

// +kubebuilder:object:root=true
type MiddlewareList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Middleware `json:"items"`
}

type MiddlewareSpec struct {
	Type  string                `json:"type"`
	Paths []string              `json:"paths,omitempty"`
	Rule  *apiextensionsv1.JSON `json:"rule,omitempty"`
}

type MiddlewareStatus struct {
	Ready        bool               `json:"ready"`
	ReferencedBy []string           `json:"referencedBy,omitempty"`
	Conditions   []metav1.Condition `json:"conditions,omitempty"`
}
