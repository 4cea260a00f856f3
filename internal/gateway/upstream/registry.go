// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

// Settings are what all connections to backends have in common.
type Settings struct {
	Networking config.Networking
	// Resolve sends connections elsewhere: host:port to host:port.
	Resolve map[string]string
	// Own, if set, gives the addresses that the gateway listens on; a backend
	// must not be one of them.
	Own    func() []netip.AddrPort
	Logger *slog.Logger
	// Version goes into the User-Agent of probes.
	Version string
}

// Registry makes the Clusters of routes. It is safe for concurrent use.
type Registry struct {
	settings Settings
	pool     *pool.Pool
	dialer   *dialer

	mu sync.Mutex

	clusters map[string][]*Cluster // by route, the newest last
}

// NewRegistry starts nothing.
func NewRegistry(s Settings, p *pool.Pool) *Registry {
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	return &Registry{settings: s, pool: p, dialer: newDialer(s), clusters: map[string][]*Cluster{}}
}

// Acquire makes the Cluster of a route, without connecting to anything. It is nil
// when one of the problems is an error: a route whose authority or client
// certificate cannot be read must not connect without it. U5
func (g *Registry) Acquire(r *config.Route) (*Cluster, []config.Problem) {
	tls, problems := g.tlsOf(r)
	if config.HasErrors(problems) {
		return nil, problems
	}
	c := &Cluster{name: r.Name, registry: g, files: tls.files()}
	for i, b := range backendsOf(r) {
		e, err := g.endpoint(c, r, b, tls)
		if err != nil {
			c.Release()
			field := "target"
			if len(r.Backends) > 0 {
				field = fmt.Sprintf("backends[%d].endpoint", i)
			}
			return nil, []config.Problem{{Field: field, Reason: config.ReasonInvalid, Message: err.Error()}}
		}
		c.endpoints = append(c.endpoints, e)
	}
	if problem := c.prepare(); problem != nil {
		c.Release()
		return nil, []config.Problem{*problem}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.clusters[r.Name] = append(g.clusters[r.Name], c)
	return c, problems
}

// backendsOf gives the backends of a route; a target is one of them.
func backendsOf(r *config.Route) []config.Backend {
	if len(r.Backends) > 0 {
		return r.Backends
	}
	return []config.Backend{{Endpoint: r.Target}}
}

// endpoint makes one endpoint, with its transports and its probe.
func (g *Registry) endpoint(c *Cluster, r *config.Route, b config.Backend, tls *tlsSettings) (*Endpoint, error) {
	u, err := config.ParseEndpoint(b.Endpoint)
	if err != nil {
		return nil, err
	}
	e := &Endpoint{backend: b, path: strings.TrimRight(u.EscapedPath(), "/"), name: u.Scheme + "://" + u.Host, host: u.Host}
	var protocol protocol
	e.scheme, protocol = dialect(u.Scheme)
	if e.transport, err = g.hold(c, transportKey{tls: tls.key, protocol: protocol}, tls); err != nil {
		return nil, err
	}
	e.upgrader = e.transport
	if protocol == negotiated {
		if e.upgrader, err = g.hold(c, transportKey{tls: tls.key, protocol: onlyHTTP1}, tls); err != nil {
			return nil, err
		}
	}
	if h := r.HealthCheck; h != nil && h.Path != "" {
		if e.probe, err = g.watch(c, e, h, tls.key); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// hold takes a transport from the pool, for as long as the Cluster lives.
func (g *Registry) hold(c *Cluster, key transportKey, tls *tlsSettings) (*transport, error) {
	t, release, err := pool.Get(g.pool, key, func() (*transport, error) { return g.newTransport(key.protocol, tls), nil })
	if err == nil {
		c.releases = append(c.releases, release)
	}
	return t, err
}

// watch takes the probe of an endpoint from the pool.
func (g *Registry) watch(c *Cluster, e *Endpoint, h *config.HealthCheck, tls tlsKey) (*probe, error) {
	key := newProbeKey(e, h, tls)
	p, release, err := pool.Get(g.pool, key, func() (*probe, error) { return g.startProbe(key, e.transport), nil })
	if err == nil {
		c.releases = append(c.releases, release)
	}
	return p, err
}

// forget takes a Cluster out of the list of its route.
func (g *Registry) forget(c *Cluster) {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(g.clusters[c.name]), func(other *Cluster) bool { return other == c })
	if len(list) == 0 {
		delete(g.clusters, c.name)
		return
	}
	g.clusters[c.name] = list
}

// EndpointHealth is the last result of an endpoint's probe.
type EndpointHealth struct {
	Endpoint string
	Healthy  bool
	// Error says why it is not healthy.
	Error string
}

// Health gives the last results of a route's endpoints, in their order. It asks
// nobody. An endpoint without a probe, or before the first result, is healthy.
func (g *Registry) Health(r *config.Route) []EndpointHealth {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := g.clusters[r.Name]
	if len(list) == 0 {
		return nil
	}
	var out []EndpointHealth
	for _, e := range list[len(list)-1].endpoints {
		healthy, reason := e.probe.state()
		out = append(out, EndpointHealth{Endpoint: e.name, Healthy: healthy, Error: reason})
	}
	return out
}
