// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the custom resources of gateway.jkaninda.dev/v1alpha1:
// Gateway, Route and Middleware. It is data only: types, defaults and the
// validation that the API server runs. Nothing here executes.
//
// +kubebuilder:object:generate=true
// +groupName=gateway.jkaninda.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of every kind in this package.
var GroupVersion = schema.GroupVersion{Group: "gateway.jkaninda.dev", Version: "v1alpha1"}

// AddToScheme registers the kinds of this package.
var AddToScheme = (&runtime.SchemeBuilder{register}).AddToScheme

func register(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&Gateway{}, &GatewayList{},
		&Route{}, &RouteList{},
		&Middleware{}, &MiddlewareList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
