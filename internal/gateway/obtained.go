// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"os"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/certs/acme"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
	"gateway.jkaninda.dev/goma/internal/gateway/observe"
	"gateway.jkaninda.dev/goma/internal/gateway/route"
	"gateway.jkaninda.dev/goma/internal/gateway/snapshot"
	"gateway.jkaninda.dev/goma/internal/wire"
)

// newObtained makes what obtains certificates; nil where nothing is to.
func (g *gateway) newObtained(settings *config.CertManager) *acme.Manager {
	if len(settings.All()) == 0 {
		return nil
	}
	return acme.New(acme.Options{
		Settings: settings, Shared: g.store.Shared(), Socket: os.Getenv(envStoreSocket), Logger: g.log.Logger, Env: g.state.settings.env, Ready: g.readiness.Ready(),
		Changed: func() { g.mailbox.put(func(*batch) {}) }, // the problems are told with the next step
	})
}

// setHosts says which hosts need certificates now, and gives what is wrong with them.
func (g *gateway) setHosts(s *snapshot.Snapshot) []config.Problem {
	if g.obtained == nil {
		return nil
	}
	g.obtained.SetHosts(wanted(s, time.Now()))
	return g.obtained.Problems()
}

// setStaples says for which certificates their authorities are asked what they say of
// them.
func (g *gateway) setStaples(s *snapshot.Snapshot) {
	if t := g.state.settings.file.Gateway.TLS; t != nil && t.OCSPStapling != nil && !*t.OCSPStapling {
		g.staples.Set(nil)
		return
	}
	g.staples.Set(append(s.Certs().All(), g.obtained.Certificates()...))
}

// wanted lists the hosts of live routes for which nobody brought a certificate.
func wanted(s *snapshot.Snapshot, now time.Time) []acme.Host {
	var list []acme.Host
	index := map[string]int{}
	s.Live(func(_ *route.Entry, r *config.Route) {
		provider := ""
		if t := r.TLS; t != nil {
			if t.Provider == config.NoProvider || t.Certificate != nil || len(t.Certificates) > 0 {
				return
			}
			provider = t.Provider
		}
		for _, name := range r.Hosts {
			host, ok := certificateName(name)
			if !ok || s.Certs().Serves(host, now) {
				continue
			}
			i, known := index[host]
			if !known {
				i = len(list)
				index[host], list = i, append(list, acme.Host{Name: host, Provider: provider})
			}
			list[i].Routes = append(list[i].Routes, snapshot.RefOf(r))
		}
	})
	return list
}

// certificateName gives the name that a certificate for a host would have.
func certificateName(host string) (string, bool) {
	rest, wild := strings.CutPrefix(host, "*.")
	name, err := normal.Host(rest)
	if err != nil {
		return "", false
	}
	name, _ = normal.SplitPort(name)
	if wild {
		name = "*." + name
	}
	return name, acme.Able(name)
}

// certificatesObtained tells who writes the Bundle of the certificates of its hosts.
func (g *gateway) certificatesObtained() (list []wire.Certificate) {
	seconds := func(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
	for _, s := range g.obtained.States() {
		list = append(list, wire.Certificate{
			Host: s.Host, Issuer: s.Issuer, NotAfter: seconds(s.NotAfter), Error: s.Error, Next: seconds(s.Next),
		})
	}
	return list
}

// certificateStates tells the metrics when certificates end.
func (g *gateway) certificateStates() []observe.CertificateState {
	var list []observe.CertificateState
	seen := map[string]bool{}
	add := func(host string, end time.Time) {
		if !seen[host] && !end.IsZero() {
			seen[host] = true
			list = append(list, observe.CertificateState{Host: host, NotAfter: end})
		}
	}
	if set := g.certificates.Load(); set != nil {
		for _, e := range set.Expiries() {
			for _, name := range e.Names {
				add(name, e.NotAfter)
			}
		}
	}
	for _, s := range g.obtained.States() {
		add(s.Host, s.NotAfter)
	}
	return list
}
