// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import "time"

// The defaults that more than one place needs.
const (
	DefaultWebAddress       = "[::]:8080"
	DefaultWebSecureAddress = "[::]:8443"
	DefaultAdminAddress     = "127.0.0.1:9902"
	DefaultCertsDir         = "/etc/goma/certs"
)

// ApplyDefaults fills in what the file leaves out. Applied twice it does what it
// did the first time.
func (f *File) ApplyDefaults() {
	g := &f.Gateway
	missing(&g.EntryPoints.Web.Address, DefaultWebAddress)
	missing(&g.EntryPoints.WebSecure.Address, DefaultWebSecureAddress)
	missing(&g.EntryPoints.Admin.Address, DefaultAdminAddress)
	missing(&g.Log.Level, "info")
	missing(&g.Log.Format, "text")
	missing(&g.Log.MaxAgeDays, 7)
	missing(&g.Log.MaxBackups, 3)
	missing(&g.Log.MaxSizeMB, 100)
	missing(&g.Monitoring.MetricsPath, "/metrics")
	missing(&g.Monitoring.VisitorTTL, Duration(5*time.Minute))
	g.Monitoring.VisitorTTL = max(g.Monitoring.VisitorTTL, Duration(30*time.Second))
	missing(&g.Monitoring.EnableReadiness, pointer(true))
	missing(&g.Monitoring.EnableLiveness, pointer(true))
	missing(&g.Reload.Path, "/gateway/reload")
	missing(&g.StrictSlash, pointer(true))
	if g.TLS == nil {
		g.TLS = &TLS{}
	}
	missing(&g.TLS.CertsDir, DefaultCertsDir)
	if h := g.Providers.HTTP; h != nil {
		missing(&h.Interval, Duration(time.Minute))
		missing(&h.Timeout, Duration(10*time.Second))
		missing(&h.RetryDelay, Duration(2*time.Second))
		missing(&h.RetryAttempts, pointer(3))
	}
	if p := g.Providers.Git; p != nil {
		missing(&p.Interval, Duration(time.Minute))
		missing(&p.Branch, "main")
	}
	f.CertManager.applyDefaults()
}

func (m *CertManager) applyDefaults() {
	if m == nil {
		return
	}
	for name, p := range m.Providers {
		p.ACME.applyDefaults()
		m.Providers[name] = p
	}
	m.ACME.applyDefaults()
}

func (a *ACME) applyDefaults() {
	if a == nil {
		return
	}
	missing(&a.ChallengeType, "http-01")
	missing(&a.TermsAccepted, pointer(true))
}

// missing sets a value that is the zero one.
func missing[T comparable](value *T, fallback T) {
	var zero T
	if *value == zero {
		*value = fallback
	}
}

func pointer[T any](v T) *T { return &v }
