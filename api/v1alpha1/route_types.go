// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// +kubebuilder:object:root=true
type Route struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   RouteSpec   `json:"spec,omitempty"`
	Status RouteStatus `json:"status,omitempty"`
}

// +kubebuilder:object:root=true
type RouteList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Route `json:"items"`
}

type RouteSpec struct {
	Gateways       []string       `json:"gateways"`
	Path           string         `json:"path"`
	Rewrite        string         `json:"rewrite,omitempty"`
	Target         string         `json:"target,omitempty"`
	Methods        []string       `json:"methods,omitempty"`
	Enabled        *bool          `json:"enabled,omitempty"`
	Priority       int            `json:"priority,omitempty"`
	Hosts          []string       `json:"hosts,omitempty"`
	Backends       []Backend      `json:"backends,omitempty"`
	HealthCheck    *HealthCheck   `json:"healthCheck,omitempty"`
	Security       *RouteSecurity `json:"security,omitempty"`
	Middlewares    []string       `json:"middlewares,omitempty"`
	DisableMetrics bool           `json:"disableMetrics,omitempty"`
	TLS            *RouteTLS      `json:"tls,omitempty"`
	Maintenance    *Maintenance   `json:"maintenance,omitempty"`
}

type Backend struct {
	Endpoint  string         `json:"endpoint"`
	Weight    int            `json:"weight,omitempty"`
	Exclusive bool           `json:"exclusive,omitempty"`
	Match     []BackendMatch `json:"match,omitempty"`
	Priority  int            `json:"priority,omitempty"`
}

type BackendMatch struct {
	Source   string `json:"source"`
	Name     string `json:"name,omitempty"`
	Operator string `json:"operator"`
	Value    string `json:"value"`
}

type HealthCheck struct {
	Path            string `json:"path"`
	Interval        string `json:"interval,omitempty"`
	Timeout         string `json:"timeout,omitempty"`
	HealthyStatuses []int  `json:"healthyStatuses,omitempty"`
}

type RouteSecurity struct {
	ForwardHostHeaders      *bool       `json:"forwardHostHeaders,omitempty"`
	EnableExploitProtection bool        `json:"enableExploitProtection,omitempty"`
	TLS                     *BackendTLS `json:"tls,omitempty"`
}

type BackendTLS struct {
	InsecureSkipVerify bool   `json:"insecureSkipVerify,omitempty"`
	RootCAsSecret      string `json:"rootCAsSecret,omitempty"`
	ClientCertSecret   string `json:"clientCertSecret,omitempty"`
}

type RouteTLS struct {
	SecretName string `json:"secretName"`
}

type Maintenance struct {
	Enabled bool   `json:"enabled"`
	Body    string `json:"body,omitempty"`
	Status  int    `json:"status,omitempty"`
}

type RouteStatus struct {
	Ready             bool               `json:"ready"`
	Synced            bool               `json:"synced"`
	GatewayGeneration int64              `json:"gatewayGeneration,omitempty"`
	Conditions        []metav1.Condition `json:"conditions,omitempty"`
}
