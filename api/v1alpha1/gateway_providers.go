// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

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
