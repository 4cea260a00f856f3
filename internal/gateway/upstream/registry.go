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
	// must not be one of them. An unspecified address stands for all of this host.
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
	meters   meters

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
	c := &Cluster{name: r.Name, registry: g, files: tls.paths}
	var field string
	var err error
	if c.balancing, field, err = newBalancing(r); err != nil {
		return nil, append(problems, config.Problem{Field: field, Reason: config.ReasonInvalid, Message: err.Error()})
	}
	c.outlierRules, c.outliers = newOutliers(r.OutlierDetection)
	for i, b := range backendsOf(r) {
		e, field, err := g.endpoint(c, r, b, tls)
		if err != nil {
			c.Release()
			if len(r.Backends) > 0 {
				field = fmt.Sprintf("backends[%d].%s", i, field)
			} else {
				field = "target"
			}
			return nil, append(problems, config.Problem{Field: field, Reason: config.ReasonInvalid, Message: err.Error()})
		}
		c.endpoints = append(c.endpoints, e)
	}
	c.prepare()
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

// endpoint makes one endpoint, with its transports and its probe. The error comes
// with the field of the backend that it is about.
func (g *Registry) endpoint(c *Cluster, r *config.Route, b config.Backend, tls *tlsSettings) (e *Endpoint, field string, err error) {
	u, err := config.ParseEndpoint(b.Endpoint)
	if err != nil {
		return nil, "endpoint", err
	}
	if err := g.dialer.permitsHost(u.Hostname()); err != nil {
		return nil, "endpoint", err
	}
	e = &Endpoint{backend: b, path: strings.TrimRight(u.EscapedPath(), "/"), name: u.Scheme + "://" + u.Host, host: u.Host}
	if e.conditions, field, err = newConditions(b.Match); err != nil {
		return nil, field, err
	}
	e.scheme, e.protocol = dialect(u.Scheme)
	p := e.protocol
	if e.transport, err = g.transport(c, transportKey{tls: tls.key, protocol: p}, tls); err != nil {
		return nil, "endpoint", err
	}
	if err := g.connect(c, e, tls); err != nil {
		return nil, "endpoint", err
	}
	if !e.SpeaksHTTP1() {
		e.follows = g.dialer.follow(withPort(e.scheme, e.host), func([]netip.Addr) { e.transport.renew() })
		c.releases = append(c.releases, e.follows.end)
	}
	e.limits = newLimits(r.Timeouts, &g.settings.Networking.Transport)
	e.seed = hashOf(e.name + e.path)
	if err := g.judge(c, e, tls); err != nil {
		return nil, "endpoint", err
	}
	if h := r.HealthCheck; h != nil && h.Path != "" {
		err = g.watch(c, e, h, transportKey{tls: tls.key, protocol: p, probes: true}, tls)
	}
	return e, "endpoint", err
}

func (g *Registry) transport(c *Cluster, key transportKey, tls *tlsSettings) (*transport, error) {
	return hold(g, c, key, func() (*transport, error) { return g.newTransport(key.protocol, tls), nil })
}

// connect gives an endpoint its connections over HTTP/1.1.
func (g *Registry) connect(c *Cluster, e *Endpoint, tls *tlsSettings) error {
	key := transportKey{tls: tls.key, protocol: onlyHTTP1}
	t, err := g.transport(c, key, tls)
	if err != nil {
		return err
	}
	e.conns, err = hold(g, c, connPoolKey{key, withPort(e.scheme, e.host), e.scheme == "https"}, func() (*connPool, error) {
		return g.newConnPool(t, e, tls), nil
	})
	return err
}

// judge gives an endpoint its standing, if the Cluster looks at it.
func (g *Registry) judge(c *Cluster, e *Endpoint, tls *tlsSettings) (err error) {
	if c.outliers == nil && c.slowStart == 0 && c.policy != leastRequest {
		return nil
	}
	key := connPoolKey{transportKey{tls: tls.key, protocol: e.protocol}, withPort(e.scheme, e.host), e.scheme == "https"}
	e.standing, err = hold(g, c, standingKey{key, c.outlierRules}, func() (*standing, error) {
		return g.newStanding(e, c.outlierRules), nil
	})
	return err
}

// watch gives an endpoint its probe.
func (g *Registry) watch(c *Cluster, e *Endpoint, h *config.HealthCheck, via transportKey, tls *tlsSettings) error {
	t, err := g.transport(c, via, tls)
	if err != nil {
		return err
	}
	key := newProbeKey(e, h, via)
	e.probe, err = hold(g, c, key, func() (*probe, error) { return g.startProbe(key, t, h.HealthyStatuses), nil })
	return err
}

// hold takes a value from the pool, for as long as the Cluster lives.
func hold[K comparable, V any](g *Registry, c *Cluster, key K, make func() (V, error)) (V, error) {
	v, release, err := pool.Get(g.pool, key, make)
	if err == nil {
		c.releases = append(c.releases, release)
	}
	return v, err
}

// ForgetNames has the names of all backends looked up before they are used again.
func (g *Registry) ForgetNames() { g.dialer.names.forget() }

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
	// Ejected says that it was taken out for failing requests.
	Ejected bool
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
		out = append(out, EndpointHealth{Endpoint: e.name, Healthy: healthy, Error: reason, Ejected: e.ejected()})
	}
	return out
}
