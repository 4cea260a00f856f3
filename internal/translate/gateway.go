// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
)

// Where the parts of a gateway pod find each other's files.
const (
	// CertsDir holds a folder for each Secret that the pod mounts: tls.crt,
	// tls.key and, for backend authorities, ca.crt.
	CertsDir = "/etc/goma/certs"
	// RouteCertsDir is CertsDir's counterpart for what the sidecar writes.
	RouteCertsDir = "/etc/goma/route-certs"
	// ProviderDir is where the sidecar commits routes and middlewares.
	ProviderDir = "/etc/goma/providers/k8s"
	// StoreDir holds the store of issued certificates.
	StoreDir = "/etc/letsencrypt"
	// StoreSocket is where the gateway reaches the store that it shares with the other
	// pods of its Gateway. Only the user of both containers can enter its folder.
	StoreSocket = StoreDir + "/shared/socket"
	// GitKeyDir holds the private key of the Git source.
	GitKeyDir = "/etc/goma/providers/git/ssh"
)

// The variables that a generated goma.yml refers to. Whoever runs the gateway
// gives them their values from Secrets; the file itself never holds one.
const (
	EnvRedisPassword = "GOMA_REDIS_PASSWORD"
	EnvReloadToken   = "GOMA_RELOAD_TOKEN"
	EnvDNSToken      = "GOMA_CREDENTIALS_API_TOKEN"
	EnvExternalKey   = "GOMA_ACME_EAB_HMAC_KEY"
	EnvACMERoots     = "GOMA_ACME_ROOT_CAS"
	EnvGitToken      = "GIT_TOKEN"
	EnvGitUsername   = "GIT_USERNAME"
	EnvGitPassword   = "GIT_PASSWORD"
	// EnvHTTPHeaders is not referred to; the gateway reads it by itself.
	EnvHTTPHeaders = "GOMA_HTTP_HEADERS"
)

// GatewayOptions is what the static configuration depends on beside the Gateway.
type GatewayOptions struct {
	// Bundle fills routes and middlewares where no sidecar delivers them. It is
	// not used when the Kubernetes provider is enabled.
	Bundle *config.Bundle
}

// Gateway gives the static configuration, goma.yml, of a Gateway. It is pure:
// equal inputs give equal files. Secrets appear as ${VAR} only. Problems name
// the wishes that cannot be fulfilled; the file is usable without them.
func Gateway(gw *v1alpha1.Gateway, o GatewayOptions) (*config.File, []config.Problem) {
	f := &config.File{Gateway: config.Gateway{Routes: []config.Route{}}}
	server := gw.Spec.Server
	if server == nil {
		server = &v1alpha1.Server{}
	}
	gatewayServer(&f.Gateway, gw, server)
	f.CertManager = certManager(gw.Spec.CertManager)
	problems := providers(&f.Gateway.Providers, gw)
	if !SidecarEnabled(gw) {
		staticBundle(f, o.Bundle)
	}
	return f, problems
}

// SidecarEnabled tells whether routes and middlewares come through the sidecar.
// That is the default: only an explicit false turns it off.
func SidecarEnabled(gw *v1alpha1.Gateway) bool {
	p := gw.Spec.Providers
	if p == nil || p.Kubernetes == nil || p.Kubernetes.Enabled == nil {
		return true
	}
	return *p.Kubernetes.Enabled
}

// SharedStore tells whether the pods of a Gateway keep the certificates that they obtain
// in Secrets, through their sidecars: with Redis they keep them there.
func SharedStore(gw *v1alpha1.Gateway) bool {
	c, s := gw.Spec.CertManager, gw.Spec.Server
	redis := s != nil && s.Redis != nil && s.Redis.Addr != ""
	return c != nil && c.ACME != nil && !redis && SidecarEnabled(gw)
}

// RouteCerts tells where the routes of a Gateway find their certificates.
func RouteCerts(gw *v1alpha1.Gateway) Paths {
	if SidecarEnabled(gw) {
		return Paths{RouteCerts: RouteCertsDir}
	}
	return Paths{RouteCerts: CertsDir}
}

// MonitoringMiddlewares gives the names of the Middlewares that protect the
// built-in endpoints, in the order written.
func MonitoringMiddlewares(gw *v1alpha1.Gateway) []string {
	s := gw.Spec.Server
	if s == nil || s.Monitoring == nil || s.Monitoring.Middleware == nil {
		return nil
	}
	return s.Monitoring.Middleware.Metrics
}

// staticBundle copies routes and middlewares into the file.
func staticBundle(f *config.File, b *config.Bundle) {
	if b == nil {
		return
	}
	for _, r := range b.Routes {
		f.Gateway.Routes = append(f.Gateway.Routes, *r)
	}
	for _, m := range b.Middlewares {
		f.Middlewares = append(f.Middlewares, *m)
	}
}

// certManager gives the certificate manager's settings; nil when there is none.
func certManager(c *v1alpha1.CertManager) *config.CertManager {
	if c == nil {
		return nil
	}
	out := &config.CertManager{Provider: c.Provider}
	if out.Provider == "" {
		out.Provider = "acme"
	}
	a := c.ACME
	if a == nil {
		return out
	}
	out.ACME = &config.ACME{
		Email:         a.Email,
		DirectoryURL:  a.DirectoryURL,
		StorageFile:   StoreDir + "/acme.json",
		TermsAccepted: a.TermsAccepted,
		ChallengeType: a.ChallengeType,
		DNSProvider:   a.DNSProvider,
		KeyType:       a.KeyType,
	}
	if a.EAB != nil {
		out.ACME.EAB = &config.ExternalAccount{KeyID: a.EAB.KeyID, HMACKey: variable(EnvExternalKey)}
	}
	if a.RootCAsFrom != nil {
		out.ACME.RootCAs = variable(EnvACMERoots).Reveal()
	}
	if a.CredentialsSecret != "" {
		out.ACME.Credentials = map[string]config.Secret{"apiToken": variable(EnvDNSToken)}
	}
	return out
}

// variable is a reference to the environment.
func variable(name string) config.Secret { return config.Secret("${" + name + "}") }
