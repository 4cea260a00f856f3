// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// ValidateFile checks the settings of a file. Its routes and middlewares are
// checked as Merge admits them. A problem that is an error means that no gateway
// could run so.
func ValidateFile(f *File) []Problem {
	c := &findings{object: ObjectRef{Kind: "Gateway"}, place: f.Place}
	g := &f.Gateway
	c.points(g)
	c.forwards(g)
	c.notNegative("gateway.timeouts.read", g.Timeouts.Read)
	c.notNegative("gateway.timeouts.write", g.Timeouts.Write)
	c.notNegative("gateway.timeouts.idle", g.Timeouts.Idle)
	c.oneOf("gateway.log.level", g.Log.Level, "trace", "debug", "info", "warn", "error", "off")
	c.oneOf("gateway.log.format", g.Log.Format, "text", "json")
	c.share("gateway.log.accessSample", g.Log.AccessSample)
	c.tracing(g.Tracing)
	c.trusted(g.Proxy)
	c.monitoring(g.Monitoring)
	c.networking(g.Networking)
	c.tls(g.TLS)
	c.sources(g)
	c.reload(g.Reload)
	if g.Redis != nil {
		c.notNegative("gateway.redis.db", g.Redis.DB)
	}
	c.dynamicEnv(g, f.credentialVariables())
	c.certManager(f.CertManager)
	return c.found.problems()
}

func (f *findings) address(field, address string) {
	if address == "" {
		return
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		f.invalid(field, "%q is not an address; write it like :8080 or 127.0.0.1:8080", address)
		return
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		f.invalid(field, "%q has no port of 1 to 65535", address)
	}
	if host == "" || strings.EqualFold(host, "localhost") {
		return
	}
	if _, err := netip.ParseAddr(host); err != nil {
		f.invalid(field, "%q is not an IP address; leave it out to listen on all", host)
	}
}

func (f *findings) notNegative(field string, n int) {
	if n < 0 {
		f.invalid(field, "%d is negative; 0 means none", n)
	}
}

func (f *findings) trusted(p Proxy) {
	f.ranges("gateway.proxy.trustedProxies", p.TrustedProxies)
	if p.Enabled && len(p.TrustedProxies) == 0 {
		f.warn("gateway.proxy.trustedProxies", "is empty, so nobody is trusted and forwarded headers are not believed; list your proxies")
	}
}

// ranges checks a list of addresses and CIDR blocks.
func (f *findings) ranges(field string, list []string) {
	for i, s := range list {
		_, addressErr := netip.ParseAddr(strings.TrimSpace(s))
		_, prefixErr := netip.ParsePrefix(strings.TrimSpace(s))
		if addressErr != nil && prefixErr != nil {
			f.invalid(fmt.Sprintf("%s[%d]", field, i), "%q is neither an IP address nor a range like 10.0.0.0/8", s)
		}
	}
}

func (f *findings) monitoring(m Monitoring) {
	f.urlPath("gateway.monitoring.metricsPath", m.MetricsPath)
	if m.Host != "" && !validHostPattern(m.Host) {
		f.invalid("gateway.monitoring.host", "%q is not a host", m.Host)
	}
	if m.VisitorTTL < 0 {
		f.invalid("gateway.monitoring.visitorTTL", "is negative")
	}
}

// share checks a part of 1.
func (f *findings) share(field string, n *float64) {
	if n != nil && !(*n >= 0 && *n <= 1) {
		f.invalid(field, "%v is not a share; write a number from 0 to 1, such as 0.1", *n)
	}
}

func (f *findings) tracing(t *Tracing) {
	if t == nil {
		return
	}
	f.share("gateway.tracing.sampleRatio", t.SampleRatio)
	if !t.Enabled {
		return
	}
	u, err := url.Parse(t.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		f.invalid("gateway.tracing.endpoint", "is not the URL of a collector; write it like http://otel-collector:4318")
	}
}

func (f *findings) urlPath(field, path string) {
	if path != "" && (!strings.HasPrefix(path, "/") || strings.ContainsFunc(path, notInPath)) {
		f.invalid(field, "%q is not a path; write it like /metrics", path)
	}
}

func (f *findings) networking(n Networking) {
	if n.DNSCache.TTL != nil {
		f.notNegative("gateway.networking.dnsCache.ttl", *n.DNSCache.TTL)
	}
	for i, s := range n.DNSCache.Resolver {
		_, addressErr := netip.ParseAddr(s)
		_, portErr := netip.ParseAddrPort(s)
		if addressErr != nil && portErr != nil {
			f.invalid(fmt.Sprintf("gateway.networking.dnsCache.resolver[%d]", i), "%q is not an IP address, with or without a port", s)
		}
	}
	const at = "gateway.networking.transport."
	t := n.Transport
	for _, x := range []struct {
		field string
		n     *int
	}{
		{"maxIdleConns", t.MaxIdleConns},
		{"maxIdleConnsPerHost", t.MaxIdleConnsPerHost},
		{"maxConnsPerHost", t.MaxConnsPerHost},
		{"tlsHandshakeTimeout", &t.TLSHandshakeTimeout},
		{"responseHeaderTimeout", &t.ResponseHeaderTimeout},
		{"idleConnTimeout", t.IdleConnTimeout},
	} {
		if x.n != nil {
			f.notNegative(at+x.field, *x.n)
		}
	}
}

func (f *findings) tls(t *TLS) {
	if t == nil {
		return
	}
	for i, c := range t.Certificates {
		f.certificate(fmt.Sprintf("gateway.tls.certificates[%d]", i), c)
	}
	if t.Default != nil {
		f.certificate("gateway.tls.default", *t.Default)
	}
	if t.ClientAuth != nil && t.ClientAuth.Required && t.ClientAuth.ClientCA == "" {
		f.invalid("gateway.tls.clientAuth.clientCA", "is missing; without an authority no client certificate can be verified")
	}
	if t.ClientAuth != nil && t.ClientAuth.IdentityHeader != "" && !ownHeader(t.ClientAuth.IdentityHeader) {
		f.invalid("gateway.tls.clientAuth.identityHeader", "is %q, which is no name of a header of its own", t.ClientAuth.IdentityHeader)
	}
	f.handshake(t)
}

func (f *findings) sources(g *Gateway) {
	if p := g.Providers.File; p != nil && p.Enabled && p.Directory == "" {
		f.invalid("gateway.providers.file.directory", "is missing; name the directory to read")
	}
	if p := g.Providers.HTTP; p != nil && p.Enabled {
		f.httpProvider(p)
	}
	if p := g.Providers.Git; p != nil && p.Enabled {
		f.gitProvider(p)
	}
}

func (f *findings) reload(r Reload) {
	f.urlPath("gateway.reload.path", r.Path)
	if r.Enabled && r.Token == "" {
		f.warn("gateway.reload.token", "is missing, so the endpoint answers 404; set a token")
	}
}

func (f *findings) certManager(m *CertManager) {
	if m == nil {
		return
	}
	f.acme("certManager.acme", m.ACME)
	for name, p := range m.Providers {
		f.required("certManager.providers."+name+".type", p.Type, []string{"acme", "vault"})
		f.acme("certManager.providers."+name+".acme", p.ACME)
	}
}

func (f *findings) acme(field string, a *ACME) {
	if a == nil {
		return
	}
	f.oneOf(field+".challengeType", a.ChallengeType, "http-01", "dns-01", "tls-alpn-01")
	f.oneOf(field+".keyType", a.KeyType, KeyTypes...)
	if strings.EqualFold(a.ChallengeType, "dns-01") && a.DNSProvider == "" {
		f.invalid(field+".dnsProvider", "is missing; dns-01 needs one")
	}
}
