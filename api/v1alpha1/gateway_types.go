// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +kubebuilder:object:root=true
type Gateway struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   GatewaySpec   `json:"spec,omitempty"`
	Status GatewayStatus `json:"status,omitempty"`
}

// +kubebuilder:object:root=true
type GatewayList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Gateway `json:"items"`
}

type GatewaySpec struct {
	Image            string                        `json:"image,omitempty"`
	Replicas         *int32                        `json:"replicas,omitempty"`
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`
	Resources        corev1.ResourceRequirements   `json:"resources,omitempty"`
	Affinity         *corev1.Affinity              `json:"affinity,omitempty"`
	AutoScaling      *AutoScaling                  `json:"autoScaling,omitempty"`
	Server           *Server                       `json:"server,omitempty"`
	Service          *Service                      `json:"service,omitempty"`
	CertManager      *CertManager                  `json:"certManager,omitempty"`
	Providers        *Providers                    `json:"providers,omitempty"`
}

type AutoScaling struct {
	Enabled                           bool   `json:"enabled,omitempty"`
	MinReplicas                       *int32 `json:"minReplicas,omitempty"`
	MaxReplicas                       int32  `json:"maxReplicas,omitempty"`
	TargetCPUUtilizationPercentage    *int32 `json:"targetCPUUtilizationPercentage,omitempty"`
	TargetMemoryUtilizationPercentage *int32 `json:"targetMemoryUtilizationPercentage,omitempty"`
}

type Server struct {
	LogLevel   string       `json:"logLevel,omitempty"`
	Timeouts   *Timeouts    `json:"timeouts,omitempty"`
	TLS        []GatewayTLS `json:"tls,omitempty"`
	Redis      *Redis       `json:"redis,omitempty"`
	Monitoring *Monitoring  `json:"monitoring,omitempty"`
	Networking *Networking  `json:"networking,omitempty"`
	Reload     *Reload      `json:"reload,omitempty"`
}

type Timeouts struct {
	Read  *int `json:"read,omitempty"`
	Write *int `json:"write,omitempty"`
	Idle  *int `json:"idle,omitempty"`
}

type GatewayTLS struct {
	SecretName string `json:"secretName"`
}

type Redis struct {
	Addr           string              `json:"addr"`
	Password       string              `json:"password,omitempty"`
	PasswordSecret *SecretKeyReference `json:"passwordSecret,omitempty"`
}

type SecretKeyReference struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

type Monitoring struct {
	EnableMetrics   bool                  `json:"enableMetrics,omitempty"`
	MetricsPath     string                `json:"metricsPath,omitempty"`
	Host            string                `json:"host,omitempty"`
	Middleware      *MonitoringMiddleware `json:"middleware,omitempty"`
	VisitorTTL      string                `json:"visitorTTL,omitempty"`
	EnableReadiness *bool                 `json:"enableReadiness,omitempty"`
	EnableLiveness  *bool                 `json:"enableLiveness,omitempty"`
}

type MonitoringMiddleware struct {
	Metrics []string `json:"metrics,omitempty"`
}

type Networking struct {
	DNSCache  *DNSCache  `json:"dnsCache,omitempty"`
	Transport *Transport `json:"transport,omitempty"`
}

type DNSCache struct {
	TTL           *int     `json:"ttl,omitempty"`
	ClearOnReload bool     `json:"clearOnReload,omitempty"`
	Resolver      []string `json:"resolver,omitempty"`
}

type Transport struct {
	MaxIdleConns        *int `json:"maxIdleConns,omitempty"`
	MaxIdleConnsPerHost *int `json:"maxIdleConnsPerHost,omitempty"`
	MaxConnsPerHost     *int `json:"maxConnsPerHost,omitempty"`
}

type Reload struct {
	Enabled bool   `json:"enabled,omitempty"`
	Path    string `json:"path,omitempty"`
	Token   string `json:"token,omitempty"`
	Host    string `json:"host,omitempty"`
}

type Service struct {
	Type                     corev1.ServiceType                  `json:"type,omitempty"`
	HTTPPort                 int32                               `json:"httpPort,omitempty"`
	HTTPSPort                int32                               `json:"httpsPort,omitempty"`
	HTTPNodePort             int32                               `json:"httpNodePort,omitempty"`
	HTTPSNodePort            int32                               `json:"httpsNodePort,omitempty"`
	LoadBalancerIP           string                              `json:"loadBalancerIP,omitempty"`
	LoadBalancerSourceRanges []string                            `json:"loadBalancerSourceRanges,omitempty"`
	LoadBalancerClass        *string                             `json:"loadBalancerClass,omitempty"`
	ExternalTrafficPolicy    corev1.ServiceExternalTrafficPolicy `json:"externalTrafficPolicy,omitempty"`
	SessionAffinity          corev1.ServiceAffinity              `json:"sessionAffinity,omitempty"`
	Annotations              map[string]string                   `json:"annotations,omitempty"`
	Labels                   map[string]string                   `json:"labels,omitempty"`
	IPFamilyPolicy           *corev1.IPFamilyPolicy              `json:"ipFamilyPolicy,omitempty"`
	IPFamilies               []corev1.IPFamily                   `json:"ipFamilies,omitempty"`
}

type CertManager struct {
	Provider string `json:"provider,omitempty"`
	ACME     *ACME  `json:"acme,omitempty"`
}

type ACME struct {
	Email             string `json:"email"`
	DirectoryURL      string `json:"directoryUrl,omitempty"`
	TermsAccepted     *bool  `json:"termsAccepted,omitempty"`
	ChallengeType     string `json:"challengeType,omitempty"`
	DNSProvider       string `json:"dnsProvider,omitempty"`
	CredentialsSecret string `json:"credentialsSecret,omitempty"`
}

type Providers struct {
	Kubernetes *KubernetesProvider `json:"kubernetes,omitempty"`
	HTTP       *HTTPProvider       `json:"http,omitempty"`
	Git        *GitProvider        `json:"git,omitempty"`
}

type KubernetesProvider struct {
	Enabled *bool  `json:"enabled,omitempty"`
	Image   string `json:"image,omitempty"`
}

type HTTPProvider struct {
	Enabled            bool              `json:"enabled,omitempty"`
	Endpoint           string            `json:"endpoint,omitempty"`
	Interval           string            `json:"interval,omitempty"`
	Timeout            string            `json:"timeout,omitempty"`
	Headers            map[string]string `json:"headers,omitempty"`
	HeadersSecret      string            `json:"headersSecret,omitempty"`
	InsecureSkipVerify bool              `json:"insecureSkipVerify,omitempty"`
	RetryAttempts      *int              `json:"retryAttempts,omitempty"`
	RetryDelay         string            `json:"retryDelay,omitempty"`
	CacheDir           string            `json:"cacheDir,omitempty"`
}

type GitProvider struct {
	Enabled  bool     `json:"enabled,omitempty"`
	URL      string   `json:"url,omitempty"`
	Branch   string   `json:"branch,omitempty"`
	Path     string   `json:"path,omitempty"`
	Interval string   `json:"interval,omitempty"`
	Auth     *GitAuth `json:"auth,omitempty"`
	CloneDir string   `json:"cloneDir,omitempty"`
}

type GitAuth struct {
	Type       string `json:"type"`
	SecretName string `json:"secretName"`
}

type GatewayStatus struct {
	Replicas       int32              `json:"replicas"`
	ReadyReplicas  int32              `json:"readyReplicas"`
	Routes         int32              `json:"routes"`
	Middlewares    int32              `json:"middlewares"`
	ConfigChecksum string             `json:"configChecksum,omitempty"`
	Addresses      []GatewayAddress   `json:"addresses,omitempty"`
	Conditions     []metav1.Condition `json:"conditions,omitempty"`
}

type GatewayAddress struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}
