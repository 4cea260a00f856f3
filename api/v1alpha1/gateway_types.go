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

// CertManager issues certificates.
type CertManager struct {
	// Kind of issuer. Default acme, the only one.
	//
	// +optional
	// +kubebuilder:default=acme
	// +kubebuilder:validation:Enum=acme
	Provider string `json:"provider,omitempty"`
	// Account and challenges with an ACME authority.
	//
	// +optional
	ACME *ACME `json:"acme,omitempty"`
}

// ACME is an account with an ACME authority.
//
// +kubebuilder:validation:XValidation:rule="!has(self.challengeType) || self.challengeType != 'dns-01' || has(self.dnsProvider) && size(self.dnsProvider) > 0 && has(self.credentialsSecret) && size(self.credentialsSecret) > 0",message="dns-01 needs dnsProvider and credentialsSecret"
type ACME struct {
	// Contact address of the account.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=320
	// +kubebuilder:validation:Pattern=`^[^\s@]+@[^\s@]+$`
	Email string `json:"email"`
	// Directory of the authority. Default: Let's Encrypt, production.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || self.matches('^https?://[^/?#@]+(/[^?#]*)?$')",message="must be an absolute URL such as https://acme-staging-v02.api.letsencrypt.org/directory"
	DirectoryURL string `json:"directoryUrl,omitempty"`
	// Acceptance of the authority's terms; without it nothing is issued. Default true.
	//
	// +optional
	// +kubebuilder:default=true
	TermsAccepted *bool `json:"termsAccepted,omitempty"`
	// How control of a host is proven: http-01 needs port 80 open to the Internet,
	// tls-alpn-01 port 443, and wildcards need dns-01. Default http-01.
	//
	// +optional
	// +kubebuilder:default=http-01
	// +kubebuilder:validation:Enum=http-01;tls-alpn-01;dns-01
	ChallengeType string `json:"challengeType,omitempty"`
	// Provider of the DNS zone, such as cloudflare or route53. Required for dns-01.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	DNSProvider string `json:"dnsProvider,omitempty"`
	// Secret with the credentials of the DNS provider. Required for dns-01.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$`
	CredentialsSecret string `json:"credentialsSecret,omitempty"`
	// Kind of the keys of certificates, from the next renewal on. Default ec256.
	//
	// +optional
	// +kubebuilder:validation:Enum=ec256;ec384;rsa2048;rsa4096
	KeyType string `json:"keyType,omitempty"`
	// External account that the authority has given its customer.
	//
	// +optional
	EAB *ExternalAccount `json:"eab,omitempty"`
	// Authorities that are trusted beside those of the system when the directory is spoken to, in PEM.
	//
	// +optional
	RootCAsFrom *ValueSource `json:"rootCAsFrom,omitempty"`
}

// ExternalAccount binds the account to one outside of ACME (External Account Binding).
type ExternalAccount struct {
	// Identifier of the key, as the authority gives it.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	KeyID string `json:"keyId"`
	// Where the key is, in base64 for URLs.
	HMACKeySecret SecretKeyReference `json:"hmacKeySecret"`
}

// ValueSource names one value of a Secret or of a ConfigMap.
//
// +kubebuilder:validation:XValidation:rule="has(self.secretKeyRef) != has(self.configMapKeyRef)",message="name either secretKeyRef or configMapKeyRef"
type ValueSource struct {
	// A value of a Secret.
	//
	// +optional
	SecretKeyRef *SecretKeyReference `json:"secretKeyRef,omitempty"`
	// A value of a ConfigMap.
	//
	// +optional
	ConfigMapKeyRef *ConfigMapKeyReference `json:"configMapKeyRef,omitempty"`
}

// ConfigMapKeyReference names one value of a ConfigMap.
type ConfigMapKeyReference struct {
	// Name of a ConfigMap in the same namespace.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Name string `json:"name"`
	// Key of the ConfigMap.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`
}

// Providers are the sources of routes and middlewares.
type Providers struct {
	// The sidecar that makes Route and Middleware changes live.
	//
	// +optional
	Kubernetes *KubernetesProvider `json:"kubernetes,omitempty"`
	// Routes and middlewares from a URL.
	//
	// +optional
	HTTP *HTTPProvider `json:"http,omitempty"`
	// Routes and middlewares from a Git repository.
	//
	// +optional
	Git *GitProvider `json:"git,omitempty"`
}

// KubernetesProvider is the sidecar.
type KubernetesProvider struct {
	// Adds the sidecar. Default true. Without it routes are part of the ConfigMap and a change rolls the
	// pods.
	//
	// +optional
	// +kubebuilder:default=true
	Enabled *bool `json:"enabled,omitempty"`
	// Image of the sidecar. Default jkaninda/goma-k8s-provider:latest.
	//
	// +optional
	// +kubebuilder:default="jkaninda/goma-k8s-provider:latest"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:Pattern=`^[^\s]+$`
	// +kubebuilder:validation:MaxLength=1024
	Image string `json:"image,omitempty"`
}

// HTTPProvider reads routes and middlewares from a URL.
//
// +kubebuilder:validation:XValidation:rule="!has(self.enabled) || !self.enabled || has(self.endpoint) && self.endpoint.matches('^https?://[^/]+')",message="an enabled HTTP source needs endpoint, an absolute http or https URL"
type HTTPProvider struct {
	// Reads this source. Default false; the other fields may be set meanwhile.
	//
	// +optional
	Enabled bool `json:"enabled,omitempty"`
	// URL of the configuration.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Endpoint string `json:"endpoint,omitempty"`
	// Time between two reads, such as 60s, which is the default.
	//
	// +optional
	// +kubebuilder:default="60s"
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="must be a duration such as 60s"
	Interval string `json:"interval,omitempty"`
	// Limit of one read. Default 10s.
	//
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="must be a duration such as 60s"
	Timeout string `json:"timeout,omitempty"`
	// Headers of the request; ${NAME} stands for the key NAME of headersSecret.
	//
	// +optional
	Headers map[string]string `json:"headers,omitempty"`
	// Secret whose keys the headers may name.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$`
	HeadersSecret string `json:"headersSecret,omitempty"`
	// Does not check the certificate of the server. Default false.
	//
	// +optional
	InsecureSkipVerify bool `json:"insecureSkipVerify,omitempty"`
	// Tries in all, the first included. Default 3.
	//
	// +optional
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=1
	RetryAttempts *int `json:"retryAttempts,omitempty"`
	// Time between two tries. Default 2s.
	//
	// +optional
	// +kubebuilder:default="2s"
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="must be a duration such as 60s"
	RetryDelay string `json:"retryDelay,omitempty"`
	// File that keeps the last good answer.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	CacheDir string `json:"cacheDir,omitempty"`
}

// GitProvider reads routes and middlewares from a Git repository.
//
// +kubebuilder:validation:XValidation:rule="!has(self.enabled) || !self.enabled || has(self.url) && size(self.url) > 0",message="an enabled Git source needs url"
type GitProvider struct {
	// Reads this source. Default false; the other fields may be set meanwhile.
	//
	// +optional
	Enabled bool `json:"enabled,omitempty"`
	// URL of the repository.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url,omitempty"`
	// Branch to check out. Default main.
	//
	// +optional
	// +kubebuilder:default=main
	// +kubebuilder:validation:MaxLength=255
	Branch string `json:"branch,omitempty"`
	// Folder inside the repository. Default: its root.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Path string `json:"path,omitempty"`
	// Time between two reads, such as 60s, which is the default.
	//
	// +optional
	// +kubebuilder:default="60s"
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="must be a duration such as 60s"
	Interval string `json:"interval,omitempty"`
	// Credentials. None when absent.
	//
	// +optional
	Auth *GitAuth `json:"auth,omitempty"`
	// Folder of the working copy.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	CloneDir string `json:"cloneDir,omitempty"`
}

// GitAuth are the credentials of a repository.
type GitAuth struct {
	// Kind of credentials. token reads the key token of the Secret, basic the keys username
	// and password, ssh the key ssh-privatekey.
	//
	// +kubebuilder:validation:Enum=token;basic;ssh
	Type string `json:"type"`
	// Secret with the credentials.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	SecretName string `json:"secretName"`
}

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
