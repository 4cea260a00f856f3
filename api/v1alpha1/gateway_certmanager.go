// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

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
