// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Server is how the gateway process runs.
type Server struct {
	// What is logged; off logs nothing. Default info.
	//
	// +optional
	// +kubebuilder:default=info
	// +kubebuilder:validation:Enum=info;debug;trace;off;warn;error
	LogLevel string `json:"logLevel,omitempty"`
	// Limits on time without progress.
	//
	// +optional
	Timeouts *Timeouts `json:"timeouts,omitempty"`
	// Certificates that the gateway serves, chosen by host.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=256
	TLS []GatewayTLS `json:"tls,omitempty"`
	// Passes on what authorities say of certificates that name an OCSP responder. Default true.
	//
	// +optional
	OCSPStapling *bool `json:"ocspStapling,omitempty"`
	// State that the replicas share.
	//
	// +optional
	Redis *Redis `json:"redis,omitempty"`
	// Metrics and health.
	//
	// +optional
	Monitoring *Monitoring `json:"monitoring,omitempty"`
	// Connections to backends.
	//
	// +optional
	Networking *Networking `json:"networking,omitempty"`
	// An endpoint that makes the gateway read its sources again.
	//
	// +optional
	Reload *Reload `json:"reload,omitempty"`
	// Traces of requests, sent to a collector by OTLP over HTTP. Default: none. A change
	// replaces the pods.
	//
	// +optional
	Tracing *Tracing `json:"tracing,omitempty"`
}

// Tracing says where traces go.
type Tracing struct {
	// URL of the collector, such as http://otel-collector.observability:4318; /v1/traces is
	// added where it has no path.
	//
	// +required
	// +kubebuilder:validation:Pattern=`^https?://[^/]`
	// +kubebuilder:validation:MaxLength=1024
	Endpoint string `json:"endpoint"`
	// Share of the requests that are exported, in percent. What a trusted proxy has decided
	// about a trace comes first. Default 10.
	//
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	SamplingPercent *int `json:"samplingPercent,omitempty"`
	// Name of the service in traces. Default: goma-gateway.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ServiceName string `json:"serviceName,omitempty"`
}

// Timeouts limit the time without progress, in seconds.
type Timeouts struct {
	// Read timeout in seconds; 0 is none. Default 30.
	//
	// +optional
	// +kubebuilder:default=30
	// +kubebuilder:validation:Minimum=0
	Read *int `json:"read,omitempty"`
	// Write timeout in seconds; 0 is none. Default 60.
	//
	// +optional
	// +kubebuilder:default=60
	// +kubebuilder:validation:Minimum=0
	Write *int `json:"write,omitempty"`
	// Idle timeout in seconds; 0 is none. Default 90.
	//
	// +optional
	// +kubebuilder:default=90
	// +kubebuilder:validation:Minimum=0
	Idle *int `json:"idle,omitempty"`
}

// GatewayTLS names a certificate.
type GatewayTLS struct {
	// Name of a Secret of type kubernetes.io/tls in the namespace of the Gateway.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	SecretName string `json:"secretName"`
}

// Redis holds state that the replicas share.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.password) && has(self.passwordSecret))",message="set password or passwordSecret, not both"
type Redis struct {
	// Address as host:port.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Addr string `json:"addr"`
	// Password in plain text. Default: none. It is copied into a Secret; passwordSecret avoids it
	// altogether.
	//
	// +optional
	Password string `json:"password,omitempty"`
	// Where the password is. Not together with password.
	//
	// +optional
	PasswordSecret *SecretKeyReference `json:"passwordSecret,omitempty"`
}

// SecretKeyReference names one value of a Secret.
type SecretKeyReference struct {
	// Name of a Secret in the same namespace.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Name string `json:"name"`
	// Key of the Secret.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`
}

// Monitoring is metrics and health.
type Monitoring struct {
	// Serves Prometheus metrics. Default false.
	//
	// +optional
	// +kubebuilder:default=false
	EnableMetrics bool `json:"enableMetrics,omitempty"`
	// Path of the metrics. Default /metrics.
	//
	// +optional
	// +kubebuilder:default=/metrics
	// +kubebuilder:validation:Pattern=`^/`
	// +kubebuilder:validation:MaxLength=1024
	MetricsPath string `json:"metricsPath,omitempty"`
	// Serves metrics to requests for this host only. Default: every host. Health endpoints
	// are not limited.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Host string `json:"host,omitempty"`
	// Middlewares that protect the built-in endpoints.
	//
	// +optional
	Middleware *MonitoringMiddleware `json:"middleware,omitempty"`
	// How long a visitor counts as present, such as 5m.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s')",message="must be a duration such as 5m"
	VisitorTTL string `json:"visitorTTL,omitempty"`
	// Accepted and without effect: readiness is always served.
	//
	// +optional
	EnableReadiness *bool `json:"enableReadiness,omitempty"`
	// Accepted and without effect: liveness is always served.
	//
	// +optional
	EnableLiveness *bool `json:"enableLiveness,omitempty"`
}

// MonitoringMiddleware names middlewares of built-in endpoints.
type MonitoringMiddleware struct {
	// Names of Middlewares of this namespace that protect the metrics, in order.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Metrics []string `json:"metrics,omitempty"`
}

// Networking is how backends are reached.
type Networking struct {
	// Cache of name look-ups.
	//
	// +optional
	DNSCache *DNSCache `json:"dnsCache,omitempty"`
	// Limits of the connection pools.
	//
	// +optional
	Transport *Transport `json:"transport,omitempty"`
}

// DNSCache is the cache of name look-ups.
type DNSCache struct {
	// How long an address is used before it is looked up again, in seconds. The gateway's
	// default is 300.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	TTL *int `json:"ttl,omitempty"`
	// Empties the cache when the configuration is read again. Default false.
	//
	// +optional
	ClearOnReload bool `json:"clearOnReload,omitempty"`
	// Name servers as ip or ip:port, in place of the system's.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=261
	Resolver []string `json:"resolver,omitempty"`
}

// Transport limits connections to backends.
type Transport struct {
	// Idle connections to all backends together; 0 is no limit. Default 512.
	//
	// +optional
	// +kubebuilder:default=512
	// +kubebuilder:validation:Minimum=0
	MaxIdleConns *int `json:"maxIdleConns,omitempty"`
	// Idle connections to one backend; 0 is the gateway's own choice. Default 256.
	//
	// +optional
	// +kubebuilder:default=256
	// +kubebuilder:validation:Minimum=0
	MaxIdleConnsPerHost *int `json:"maxIdleConnsPerHost,omitempty"`
	// Connections to one backend, busy and idle; 0 is no limit. Default 256.
	//
	// +optional
	// +kubebuilder:default=256
	// +kubebuilder:validation:Minimum=0
	MaxConnsPerHost *int `json:"maxConnsPerHost,omitempty"`
}

// Reload is the reload endpoint.
type Reload struct {
	// Serves the endpoint. It needs a token too. Default false.
	//
	// +optional
	Enabled bool `json:"enabled,omitempty"`
	// Path of the endpoint. The gateway's default is /gateway/reload.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^(/|$)`
	Path string `json:"path,omitempty"`
	// Bearer token that callers send. It is copied into a Secret.
	//
	// +optional
	Token string `json:"token,omitempty"`
	// Serves the endpoint to requests for this host only.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Host string `json:"host,omitempty"`
}
