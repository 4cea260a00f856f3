// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/admin"
	"gateway.jkaninda.dev/goma/internal/gateway/route"
	"gateway.jkaninda.dev/goma/internal/gateway/snapshot"
)

// liveConfig gives what is live, for the dump.
func (g *gateway) liveConfig() *config.Config {
	if s := g.live.Current(); s != nil {
		return s.Config()
	}
	return nil
}

// explain tells where a request would go.
func (g *gateway) explain(method, scheme, host, path string) admin.Explanation {
	return explain(g.live.Current(), method, scheme, host, path)
}

// explain tells where a request would go with a snapshot, which may be nil.
func explain(s *snapshot.Snapshot, method, scheme, host, path string) admin.Explanation {
	out := admin.Explanation{Method: method, Host: host, Path: path}
	if s == nil {
		out.Status, out.Reason = http.StatusServiceUnavailable, "no configuration has been applied yet"
		return out
	}
	m, candidates := s.Explain(method, scheme, host, path)
	switch {
	case m.Entry == nil:
		out.Status, out.Reason = http.StatusNotFound, "no route takes this host and path"
	case m.Allow != "":
		out.Route, out.Status, out.Reason = m.Entry.Name, http.StatusMethodNotAllowed, "the methods are "+m.Allow
	default:
		out.Route = m.Entry.Name
		if fault := s.Fault(m.Entry); fault != "" {
			out.Status, out.Reason = http.StatusServiceUnavailable, fault
		}
	}
	candidates = append(candidates, s.ExplainAside(method, scheme, host, path)...)
	const most = 50
	out.Omitted = max(len(candidates)-most, 0)
	for _, c := range candidates[:min(len(candidates), most)] {
		out.Candidates = append(out.Candidates, admin.Candidate{
			Route: c.Entry.Name, Host: c.Host, Path: c.Entry.Path, Failed: c.Failed,
		})
	}
	return out
}

// routeList lists the routes in the order of the configuration.
func (g *gateway) routeList() []admin.RouteInfo {
	list := []admin.RouteInfo{}
	s := g.live.Current()
	if s == nil {
		return list
	}
	s.Live(func(e *route.Entry, r *config.Route) {
		list = append(list, admin.RouteInfo{
			Name: r.Name, Source: r.Meta.Ref.Source, Hosts: e.Hosts(), Path: e.Path, Methods: e.Methods(), Problem: s.Fault(e),
		})
	})
	return list
}
