// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"time"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// gatewayServer copies spec.server, family by family.
func gatewayServer(g *config.Gateway, gw *v1alpha1.Gateway, s *v1alpha1.Server) {
	g.Log.Level = s.LogLevel
	g.TLS = serverTLS(s)
	g.Redis = redis(gw, s.Redis)
	g.Timeouts = timeouts(s.Timeouts)
	g.Monitoring = monitoring(s.Monitoring)
	g.Networking = networking(s.Networking)
	g.Reload = reload(s.Reload)
	g.Tracing = tracing(s.Tracing)
}

func tracing(t *v1alpha1.Tracing) *config.Tracing {
	if t == nil {
		return nil
	}
	out := &config.Tracing{Enabled: true, Endpoint: t.Endpoint, ServiceName: t.ServiceName}
	if t.SamplingPercent != nil {
		ratio := float64(*t.SamplingPercent) / 100
		out.SampleRatio = &ratio
	}
	return out
}

// serverTLS names each certificate by its files, which a directory scan would
// leave to chance. A Secret that is listed twice is one certificate, and a name
// that no Secret can have is none.
func serverTLS(s *v1alpha1.Server) *config.TLS {
	if len(s.TLS) == 0 && s.OCSPStapling == nil {
		return nil
	}
	out := &config.TLS{OCSPStapling: s.OCSPStapling}
	seen := map[string]bool{}
	for _, t := range s.TLS {
		if seen[t.SecretName] || !resolve.ValidName(t.SecretName) {
			continue
		}
		seen[t.SecretName] = true
		out.Certificates = append(out.Certificates, config.Certificate{
			Cert: resolve.SecretFile(CertsDir, t.SecretName, resolve.KeyCertificate),
			Key:  config.PrivateKey(resolve.SecretFile(CertsDir, t.SecretName, resolve.KeyPrivateKey)),
		})
	}
	return out
}

// redis gives the connection; a password is always a variable. The keys of each
// Gateway have a prefix of its own, so that two of them may use one server and have
// a budget each. A namespace and a name hold neither slashes nor colons. M22
func redis(gw *v1alpha1.Gateway, r *v1alpha1.Redis) *config.Redis {
	if r == nil {
		return nil
	}
	out := &config.Redis{Addr: r.Addr, KeyPrefix: "goma:" + gw.Namespace + "/" + gw.Name + ":"}
	if r.Password != "" || r.PasswordSecret != nil {
		out.Password = variable(EnvRedisPassword)
	}
	return out
}

func timeouts(t *v1alpha1.Timeouts) config.Timeouts {
	if t == nil {
		return config.Timeouts{}
	}
	return config.Timeouts{Read: value(t.Read), Write: value(t.Write), Idle: value(t.Idle)}
}

// monitoring leaves out enableReadiness and enableLiveness: both endpoints are
// always on.
func monitoring(m *v1alpha1.Monitoring) config.Monitoring {
	if m == nil {
		return config.Monitoring{}
	}
	out := config.Monitoring{
		EnableMetrics: m.EnableMetrics,
		Host:          m.Host,
		MetricsPath:   m.MetricsPath,
		VisitorTTL:    span(m.VisitorTTL),
	}
	if m.Middleware != nil && len(m.Middleware.Metrics) > 0 {
		out.Middleware.Metrics = m.Middleware.Metrics
	}
	return out
}

func networking(n *v1alpha1.Networking) config.Networking {
	var out config.Networking
	if n == nil {
		return out
	}
	if d := n.DNSCache; d != nil {
		out.DNSCache = config.DNSCache{TTL: d.TTL, ClearOnReload: d.ClearOnReload}
		if len(d.Resolver) > 0 {
			out.DNSCache.Resolver = d.Resolver
		}
	}
	if t := n.Transport; t != nil {
		out.Transport = config.Transport{
			MaxIdleConns:        t.MaxIdleConns,
			MaxIdleConnsPerHost: t.MaxIdleConnsPerHost,
			MaxConnsPerHost:     t.MaxConnsPerHost,
		}
	}
	return out
}

// reload gives the reload endpoint; its token is always a variable.
func reload(r *v1alpha1.Reload) config.Reload {
	if r == nil {
		return config.Reload{}
	}
	out := config.Reload{Enabled: r.Enabled, Path: r.Path, Host: r.Host}
	if r.Token != "" {
		out.Token = variable(EnvReloadToken)
	}
	return out
}

// value gives what p points at; zero for nil.
func value(p *int) int {
	if p == nil {
		return 0
	}
	return *p
}

// span reads a duration that the custom resource's schema has already checked.
func span(text string) config.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0
	}
	return config.Duration(d)
}
