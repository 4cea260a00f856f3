// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package acme

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// State is what is known of a host.
type State struct {
	Host, Provider string
	// Issuer and NotAfter are those of the certificate; the zero values without one.
	Issuer   string
	NotAfter time.Time
	// Error is what the last attempt failed of, Next when the next one is: the zero
	// value when that is soon, or never.
	Error string
	Next  time.Time
}

// States lists the hosts in the order of their names.
func (m *Manager) States() []State {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]State, 0, len(m.entries))
	for _, e := range m.entries {
		s := State{Host: e.host, Provider: e.provider.name, Error: e.state.Error}
		if e.state.Error != "" && !e.state.Soon {
			s.Next = e.state.Next
		}
		if e.refused != "" {
			s.Error, s.Next = e.refused, time.Time{}
		}
		if r := e.current.Load(); r != nil {
			s.Issuer, s.NotAfter = r.pair.Leaf.Issuer.CommonName, r.pair.Leaf.NotAfter
			if s.Error == "" {
				s.Next = r.due()
			}
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b State) int { return strings.Compare(a.Host, b.Host) })
	return list
}

// Problems lists what keeps hosts from having a certificate, each as a warning of the
// routes that have the host: they serve, with what there is. A12
func (m *Manager) Problems() []config.Problem {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	list := slices.Clone(m.settings)
	names := make([]string, 0, len(m.entries))
	for name := range m.entries {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		e := m.entries[name]
		message := e.trouble()
		if message == "" {
			continue
		}
		for _, route := range e.routes {
			list = append(list, config.Problem{
				Object: route, Field: "hosts", Reason: config.ReasonCertificate, Severity: config.SeverityWarning, Message: message,
			})
		}
	}
	return list
}

// trouble says in one sentence what is wrong with a host; nothing is while the first
// attempt runs.
func (e *entry) trouble() string {
	if e.refused != "" {
		return fmt.Sprintf("there will be no certificate for %s: %s", e.host, e.refused)
	}
	if e.state.Error == "" {
		return ""
	}
	what := "no certificate for " + e.host + " yet"
	if e.current.Load().valid(time.Now()) {
		what = "the certificate for " + e.host + " could not be renewed and stays in use"
	}
	if e.state.Soon {
		return fmt.Sprintf("%s: %s; it is tried again every few seconds", what, e.state.Error)
	}
	next := e.state.Next
	if next.IsZero() {
		next = e.next
	}
	return fmt.Sprintf("%s: %s; the next attempt is at %s", what, e.state.Error, next.UTC().Format(time.RFC3339))
}
