// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Route sends the requests that match it to a backend.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name=Gateways,type=string,JSONPath=`.spec.gateways`
// +kubebuilder:printcolumn:name=Path,type=string,JSONPath=`.spec.path`
// +kubebuilder:printcolumn:name=Target,type=string,JSONPath=`.spec.target`
// +kubebuilder:printcolumn:name=Ready,type=boolean,JSONPath=`.status.ready`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type Route struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   RouteSpec   `json:"spec,omitempty"`
	Status RouteStatus `json:"status,omitempty"`
}

// RouteList is a list of Routes.
//
// +kubebuilder:object:root=true
type RouteList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Route `json:"items"`
}

// RouteSpec is what to match and where to send it.
//
// +kubebuilder:validation:XValidation:rule="(has(self.target) && size(self.target) > 0) != (has(self.backends) && size(self.backends) > 0)",message="set exactly one of target and backends"
type RouteSpec struct {
	// Names of the Gateways of this namespace that serve the Route.
	//
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Gateways []string `json:"gateways"`
	// Path prefix to match, by whole segments; {name} matches one segment, and /
	// everything.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="!self.matches('[[:space:][:cntrl:]?#]')",message="must not hold spaces, control characters, ? or #: percent-encode them"
	// +kubebuilder:validation:XValidation:rule="!self.matches('(^|/)[.][.]?(/|$)')",message="must not hold dot segments: requests are matched without them"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([^{}/]*|[{][A-Za-z_][A-Za-z0-9_]*[}])(/([^{}/]*|[{][A-Za-z_][A-Za-z0-9_]*[}]))*$')",message="a placeholder is a whole segment, such as /users/{id}"
	Path string `json:"path"`
	// Replaces the matched prefix of the path before the request is sent on. Default: the
	// path stays as it is.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="!self.matches('[[:space:][:cntrl:]?#]')",message="must not hold spaces, control characters, ? or #: percent-encode them"
	// +kubebuilder:validation:XValidation:rule="!self.matches('(^|/)[.][.]?(/|$)')",message="must not hold dot segments"
	Rewrite string `json:"rewrite,omitempty"`
	// URL of the one backend. Exactly one of target and backends is set.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || self.matches('^(https?|h2c|grpcs?|wss?)://([A-Za-z0-9_.-]+|[[][0-9A-Fa-f:.]+[]])(:[1-9][0-9]{0,4})?(/[^?#[:space:]]*)?$')",message="must be an absolute URL such as http://host:8080, without user, query and fragment; schemes are http, https, h2c, grpc, grpcs, ws and wss"
	Target string `json:"target,omitempty"`
	// Methods to match, in any case. Default all; GET admits HEAD.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Pattern=`^(?i)(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS|CONNECT|TRACE)$`
	Methods []string `json:"methods,omitempty"`
	// false takes the Route out of service. Default true.
	//
	// +optional
	// +kubebuilder:default=true
	Enabled *bool `json:"enabled,omitempty"`
	// Rank among Routes that match a request: the higher number first. Default 0.
	//
	// +optional
	Priority int `json:"priority,omitempty"`
	// Hosts to match: a name, *.name or {sub}.name. Default: every host.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=260
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^([*]|[{][A-Za-z_][A-Za-z0-9_]*[.]{3}[}]|(([*]|[{][A-Za-z_][A-Za-z0-9_]*([.]{3})?[}])[.])?[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?([.][A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*[.]?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*|[[][0-9A-Fa-f:.]+[]])(:[1-9][0-9]{0,4})?$')",message="must be a host such as api.example.com, *.example.com or {tenant}.example.com"
	Hosts []string `json:"hosts,omitempty"`
	// Backends that share the requests. Exactly one of target and backends is set.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=64
	Backends []Backend `json:"backends,omitempty"`
	// Probes that take unhealthy backends out.
	//
	// +optional
	HealthCheck *HealthCheck `json:"healthCheck,omitempty"`
	// How requests are shared out among the backends. Default: in turn.
	//
	// +optional
	LoadBalancing *LoadBalancing `json:"loadBalancing,omitempty"`
	// Takes backends out for a while that fail requests; {} does so with the defaults.
	// Default: they are not.
	//
	// +optional
	OutlierDetection *OutlierDetection `json:"outlierDetection,omitempty"`
	// Limits of the requests to the backends.
	//
	// +optional
	Timeouts *RouteTimeouts `json:"timeouts,omitempty"`
	// What backends get to see, and TLS towards them.
	//
	// +optional
	Security *RouteSecurity `json:"security,omitempty"`
	// Names of Middlewares of this namespace, run in this order. While one is missing the
	// Route answers 503.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Middlewares []string `json:"middlewares,omitempty"`
	// Leaves the Route out of the metrics. Default false.
	//
	// +optional
	DisableMetrics bool `json:"disableMetrics,omitempty"`
	// Certificate of the Route's hosts.
	//
	// +optional
	TLS *RouteTLS `json:"tls,omitempty"`
	// Lets the Route answer by itself.
	//
	// +optional
	Maintenance *Maintenance `json:"maintenance,omitempty"`
}

// Backend is one place to send requests to.
//
// +kubebuilder:validation:XValidation:rule="!has(self.exclusive) || !self.exclusive || has(self.match) && size(self.match) > 0",message="an exclusive backend needs match"
type Backend struct {
	// URL of the backend.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^(https?|h2c|grpcs?|wss?)://([A-Za-z0-9_.-]+|[[][0-9A-Fa-f:.]+[]])(:[1-9][0-9]{0,4})?(/[^?#[:space:]]*)?$')",message="must be an absolute URL such as http://host:8080, without user, query and fragment; schemes are http, https, h2c, grpc, grpcs, ws and wss"
	Endpoint string `json:"endpoint"`
	// Share of the requests, relative to the other weights. Without any weight the shares
	// are equal; beside weighted backends 0 gets nothing.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	Weight int `json:"weight,omitempty"`
	// Requests that match go to this backend only. Otherwise a match puts it into the pool
	// for that request. Default false.
	//
	// +optional
	Exclusive bool `json:"exclusive,omitempty"`
	// Conditions, all of which must hold for this backend.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=16
	Match []BackendMatch `json:"match,omitempty"`
	// Rank among exclusive backends that match: the higher number first. Default 0.
	//
	// +optional
	Priority int `json:"priority,omitempty"`
}

// BackendMatch is one condition on a request.
//
// +kubebuilder:validation:XValidation:rule="self.source == 'ip' || has(self.name) && size(self.name) > 0",message="name the header, cookie or query parameter"
// +kubebuilder:validation:XValidation:rule="self.operator != 'regex' ? true : '.'.matches(self.value) ? true : true",message="value must be an RE2 regular expression"
type BackendMatch struct {
	// Where the value is taken from.
	//
	// +kubebuilder:validation:Enum=header;cookie;query;ip
	Source string `json:"source"`
	// Name of the header, cookie or query parameter. Not used for ip.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name,omitempty"`
	// How the values are compared. regex is RE2 and not anchored; in takes a comma-
	// separated list.
	//
	// +kubebuilder:validation:Enum=equals;not_equals;contains;not_contains;starts_with;ends_with;regex;in
	Operator string `json:"operator"`
	// Value to compare with. An absent header, cookie or parameter counts as empty.
	//
	// +kubebuilder:validation:MaxLength=4096
	Value string `json:"value"`
}

// HealthCheck is a probe of the backends.
type HealthCheck struct {
	// Path of the probe, such as /healthz.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^/[^[:space:]#]*$')",message="must be a path such as /healthz"
	Path string `json:"path"`
	// Time between two probes. Default 30s.
	//
	// +optional
	// +kubebuilder:default="30s"
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="must be a duration such as 60s"
	Interval string `json:"interval,omitempty"`
	// Limit of one probe. Default 5s.
	//
	// +optional
	// +kubebuilder:default="5s"
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="must be a duration such as 60s"
	Timeout string `json:"timeout,omitempty"`
	// Statuses that mean healthy. Default: every status below 400.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Minimum=100
	// +kubebuilder:validation:items:Maximum=599
	HealthyStatuses []int `json:"healthyStatuses,omitempty"`
}

// RouteSecurity is what passes between gateway and backends.
type RouteSecurity struct {
	// Sends the client's Host to the backend; false sends the backend's own. Default true.
	//
	// +optional
	// +kubebuilder:default=true
	ForwardHostHeaders *bool `json:"forwardHostHeaders,omitempty"`
	// Refuses requests that look like common attacks. Default false.
	//
	// +optional
	EnableExploitProtection bool `json:"enableExploitProtection,omitempty"`
	// TLS towards the backends.
	//
	// +optional
	TLS *BackendTLS `json:"tls,omitempty"`
}

// BackendTLS is TLS towards backends; each part may be used alone.
type BackendTLS struct {
	// Does not check the certificate of the backend. Default false.
	//
	// +optional
	InsecureSkipVerify bool `json:"insecureSkipVerify,omitempty"`
	// Secret whose key ca.crt holds the authorities to trust.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$`
	RootCAsSecret string `json:"rootCAsSecret,omitempty"`
	// Secret of type kubernetes.io/tls with the certificate to present.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$`
	ClientCertSecret string `json:"clientCertSecret,omitempty"`
}

// RouteTLS names the certificate of a Route.
type RouteTLS struct {
	// Name of a Secret of type kubernetes.io/tls in the namespace of the Route. A change
	// of it is live.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	SecretName string `json:"secretName"`
	// Asks the clients of the Route for certificates.
	//
	// +optional
	ClientAuth *RouteClientAuth `json:"clientAuth,omitempty"`
}

// RouteClientAuth lets in clients with a certificate of an authority. Handshakes for the
// hosts of the Route ask for it; other Routes of these hosts are not concerned.
type RouteClientAuth struct {
	// Secret of the namespace of the Route whose key ca.crt holds the authority. A change
	// of it is live; while it is missing the Route answers 503.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	CASecret string `json:"caSecret"`
	// Whether a client without a certificate is refused, which is the default, or passes.
	//
	// +optional
	// +kubebuilder:default=required
	// +kubebuilder:validation:Enum=required;optional
	Mode string `json:"mode,omitempty"`
}

// Maintenance is an answer in place of the backends.
type Maintenance struct {
	// Answers every request of the Route in place of its backends.
	Enabled bool `json:"enabled"`
	// Body of the answer. Default: the status and its reason.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	Body string `json:"body,omitempty"`
	// Status of the answer. Default 503.
	//
	// +optional
	// +kubebuilder:default=503
	// +kubebuilder:validation:Minimum=200
	// +kubebuilder:validation:Maximum=599
	Status int `json:"status,omitempty"`
}

// RouteStatus is what is known of a Route.
type RouteStatus struct {
	// The Route is valid, all it names exists, and its Gateways serve it.
	Ready bool `json:"ready"`
	// The Gateways serve the Route as it is now.
	Synced bool `json:"synced"`
	// Generation of the Gateway that serves the Route.
	//
	// +optional
	GatewayGeneration int64 `json:"gatewayGeneration,omitempty"`
	// What is known of the object, each with reason and remedy.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
