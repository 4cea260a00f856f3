// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// routeTLS translates the serving certificate of a route's hosts, and what is asked of
// clients.
func routeTLS(t *v1alpha1.RouteTLS, p Paths) *config.RouteTLS {
	if t == nil {
		return nil
	}
	out := &config.RouteTLS{Certificate: &config.Certificate{
		Cert: p.secretFile(t.SecretName, resolve.KeyCertificate),
		Key:  config.PrivateKey(p.secretFile(t.SecretName, resolve.KeyPrivateKey)),
	}}
	if c := t.ClientAuth; c != nil {
		out.ClientAuth = &config.RouteClientAuth{ClientCA: p.secretFile(c.CASecret, resolve.KeyAuthority), Mode: c.Mode}
	}
	return out
}

// security translates how the gateway speaks to a route's backends.
func security(s *v1alpha1.RouteSecurity, p Paths) *config.RouteSecurity {
	if s == nil {
		return nil
	}
	forward := s.ForwardHostHeaders == nil || *s.ForwardHostHeaders
	return &config.RouteSecurity{
		ForwardHostHeaders:      &forward,
		EnableExploitProtection: s.EnableExploitProtection,
		TLS:                     backendTLS(s.TLS, p),
	}
}

func backendTLS(t *v1alpha1.BackendTLS, p Paths) *config.BackendTLS {
	if t == nil {
		return nil
	}
	out := &config.BackendTLS{InsecureSkipVerify: t.InsecureSkipVerify}
	if t.RootCAsSecret != "" {
		out.RootCAs = p.secretFile(t.RootCAsSecret, resolve.KeyAuthority)
	}
	if t.ClientCertSecret != "" {
		out.ClientCert = p.secretFile(t.ClientCertSecret, resolve.KeyCertificate)
		out.ClientKey = config.PrivateKey(p.secretFile(t.ClientCertSecret, resolve.KeyPrivateKey))
	}
	return out
}
