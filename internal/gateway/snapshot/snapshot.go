// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"net/http"
	"slices"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/certs"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
	"gateway.jkaninda.dev/goma/internal/gateway/route"
)

// Snapshot is a compiled Config.
type Snapshot struct {
	config *config.Config
	table  *route.Table
	// units are the routes that are in the table or were set aside, in the
	// order of the Config; those that are disabled have none.
	units     []*unit
	steps     *steps
	certs     *certs.Set
	endpoints [endpointCount]*chain

	authorities authorities

	// entering and leaving are the chains that this snapshot has and the one
	// before does not, and the other way round.
	entering, leaving []*chain
	// changed says that it differs from the one before in what it serves.
	changed bool
}

// Changed tells whether anything serves differently than in the snapshot that this
// one was compiled from.
func (s *Snapshot) Changed() bool { return s.changed }

// Config is what was compiled.
func (s *Snapshot) Config() *config.Config { return s.config }

// Table is the route table.
func (s *Snapshot) Table() *route.Table { return s.table }

// Certs are the certificates.
func (s *Snapshot) Certs() *certs.Set { return s.certs }

// Files are the files whose change, or appearance, makes another Snapshot of the
// same Config.
func (s *Snapshot) Files() []string {
	files := slices.Clone(s.certs.Files())
	for _, m := range s.steps.list {
		for _, f := range m.files {
			files = append(files, f.path)
		}
	}
	for _, u := range s.units {
		for _, f := range u.chain.files {
			files = append(files, f.path)
		}
	}
	for _, c := range s.endpoints {
		if c == nil {
			continue
		}
		for _, f := range c.files {
			files = append(files, f.path)
		}
	}
	return files
}

// Fault says why a route answers 503; empty when it serves.
func (s *Snapshot) Fault(e *route.Entry) string {
	if c, ok := e.Handler.(*chain); ok {
		return c.fault
	}
	return ""
}

// Live gives the entries that are in the table with their routes, in order.
func (s *Snapshot) Live(visit func(*route.Entry, *config.Route)) {
	for _, u := range s.units {
		if u.entry != nil {
			visit(u.entry, u.route)
		}
	}
}

// find finds the route of a request. A CORS preflight goes where the request
// would go that it asks about, since it is that route whose policy counts.
func (s *Snapshot) find(r *http.Request, x *exchange.Exchange) route.Match {
	host := s.lookupHost(x)
	if announced := preflightMethod(r); announced != "" {
		if m := s.table.Find(announced, host, x.Path); m.Entry != nil && m.Allow == "" {
			if !m.Entry.Admits(r.Method) {
				m.Allow = allowed(m.Entry)
			}
			return m
		}
	}
	return s.table.Find(r.Method, host, x.Path)
}

// lookupHost adds the port that a scheme implies, where a route may ask for it.
func (s *Snapshot) lookupHost(x *exchange.Exchange) string {
	return s.hostWithPort(x.Scheme, x.Host)
}

func (s *Snapshot) hostWithPort(scheme, host string) string {
	if host == "" || !s.table.NamesPorts() {
		return host
	}
	if _, port := normal.SplitPort(host); port != 0 {
		return host
	}
	if scheme == "https" {
		return host + ":443"
	}
	return host + ":80"
}

// Explain tells where a request would go.
func (s *Snapshot) Explain(method, scheme, host, path string) (route.Match, []route.Candidate) {
	return s.table.Explain(method, s.hostWithPort(scheme, host), path)
}

// ExplainAside tells which routes that were set aside would be near a request, and
// why they were.
func (s *Snapshot) ExplainAside(method, scheme, host, path string) []route.Candidate {
	var entries []*route.Entry
	why := map[*route.Entry]string{}
	for _, u := range s.units {
		if u.entry != nil {
			continue
		}
		if e, _ := route.New(u.route, u.chain); e != nil {
			entries = append(entries, e)
			why[e] = firstError(append(slices.Clone(u.problems), u.chain.problems...))
		}
	}
	table, _ := route.Build(nil, entries)
	_, list := table.Explain(method, s.hostWithPort(scheme, host), path)
	for i := range list {
		list[i].Failed = "it was set aside: " + why[list[i].Entry]
	}
	return list
}

// preflightMethod gives the method that a CORS preflight asks about; empty for
// any other request.
func preflightMethod(r *http.Request) string {
	if r.Method != http.MethodOptions || r.Header.Get("Origin") == "" {
		return ""
	}
	return r.Header.Get("Access-Control-Request-Method")
}
