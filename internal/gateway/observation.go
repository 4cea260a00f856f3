// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"cmp"
	"net/netip"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/geo"
	"gateway.jkaninda.dev/goma/internal/gateway/observe"
)

// observe makes what sees requests, and the metrics, which ask the other parts for
// what those hold.
func (g *gateway) observe(f *config.File) (err error) {
	if g.tracer, err = g.newTracer(f.Gateway.Tracing); err != nil {
		return err
	}
	g.metrics, g.observer = observe.NewMetrics(), observe.NewObserver(g.log, g.tracer)
	m := g.metrics
	m.Dropped, m.Panics, m.Tracer = g.log.Dropped, g.observer.Panics, g.tracer
	m.Listeners, m.Endpoints, m.Health, m.Ejections = g.listenerStates, g.endpointStates, g.healthStates, g.ejectionStates
	return nil
}

const (
	defaultService     = "goma-gateway"
	defaultSampleRatio = 0.1
)

func (g *gateway) newTracer(t *config.Tracing) (*observe.Tracer, error) {
	if t == nil || !t.Enabled {
		return nil, nil //nolint:nilnil // it is what traces nothing
	}
	ratio := defaultSampleRatio
	if t.SampleRatio != nil {
		ratio = *t.SampleRatio
	}
	return observe.NewTracer(observe.TracerOptions{
		Endpoint: t.Endpoint, Headers: t.Headers, Ratio: ratio, Service: cmp.Or(t.ServiceName, defaultService),
		Version: g.version, Logger: g.log.Logger,
	})
}

// setObservation puts those settings into effect that can change live.
func (g *gateway) setObservation(s *config.Gateway) {
	share := 1.0
	if s.Log.AccessSample != nil {
		share = *s.Log.AccessSample
	}
	g.observer.SetSampling(share)
	g.metrics.SetVisitorTTL(s.Monitoring.VisitorTTL.Std())
}

// countCountries has requests counted by country, where there is a database that can
// be read; release lets go of it. Without one, only those middlewares fail that need
// it.
func (g *gateway) countCountries(database string) (release func()) {
	if database == "" {
		return func() {}
	}
	db, release, err := geo.Open(g.pool, absolute(database), g.log.Logger)
	if err != nil {
		g.log.Warn("requests are not counted by country", "err", err)
		return func() {}
	}
	g.metrics.SetCountries(func(client netip.Addr) string { return db.Country(client) })
	return release
}

func (g *gateway) listenerStates() (list []observe.ListenerState) {
	for _, e := range g.listeners.all() {
		open, accepted, unagreed := e.Connections()
		refused := e.Refused()
		list = append(list, observe.ListenerState{
			Name: e.Name(), Open: uint64(max(open, 0)), Accepted: accepted, Unagreed: unagreed, Secure: e.Secure(), //nolint:gosec // not negative
			Refused: map[string]uint64{
				"limit": refused.Limit, "client_limit": refused.Client, "proxy_protocol": refused.Header, "flood": refused.Flood,
			},
		})
	}
	return list
}

func (g *gateway) endpointStates() (list []observe.EndpointState) {
	for _, c := range g.registry.Connections() {
		list = append(list, observe.EndpointState{
			Name: c.Endpoint, Open: uint64(max(c.Open, 0)), Idle: uint64(c.Idle), //nolint:gosec // not negative
			Created: c.Created, Failed: c.Failed, Retried: c.Retried, Ejected: c.Ejected,
		})
	}
	return list
}

// ejectionStates tells of the endpoints of routes that judge them by their requests.
func (g *gateway) ejectionStates() (list []observe.EjectionState) {
	s := g.live.Current()
	if s == nil {
		return nil
	}
	for _, r := range s.Config().Routes {
		if r.OutlierDetection == nil {
			continue
		}
		for _, h := range g.registry.Health(r) {
			list = append(list, observe.EjectionState{Route: r.Name, Endpoint: h.Endpoint, Ejected: h.Ejected})
		}
	}
	return list
}

// healthStates gives the last results of all health checks.
func (g *gateway) healthStates() (list []observe.HealthState) {
	s := g.live.Current()
	if s == nil {
		return nil
	}
	for _, r := range s.Config().Routes {
		if r.HealthCheck == nil || r.HealthCheck.Path == "" {
			continue
		}
		for _, h := range g.registry.Health(r) {
			list = append(list, observe.HealthState{Route: r.Name, Endpoint: h.Endpoint, Healthy: h.Healthy})
		}
	}
	return list
}
