// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// NoProvider as the provider of a route leaves its hosts alone.
const NoProvider = "none"

// KeyTypes are the kinds of keys that certificates can have.
var KeyTypes = []string{"ec256", "ec384", "rsa2048", "rsa4096"}

// standardProvider is the name of the provider that is written without one.
const standardProvider = "default"

// All gives the providers by name, that of the short form among them.
func (m *CertManager) All() map[string]CertProvider {
	if m == nil {
		return nil
	}
	list := maps.Clone(m.Providers)
	if list == nil {
		list = map[string]CertProvider{}
	}
	if m.ACME == nil && m.Vault == nil && m.Provider == "" {
		return list
	}
	if _, ok := list[standardProvider]; !ok {
		kind := m.Provider
		if kind == "" {
			kind = "acme"
		}
		list[standardProvider] = CertProvider{Type: kind, ACME: m.ACME, Vault: m.Vault}
	}
	return list
}

// Default is the provider of routes that name none; empty when there is none.
func (m *CertManager) Default() string {
	all := m.All()
	name := standardProvider
	if m != nil && m.DefaultProvider != "" {
		name = m.DefaultProvider
	} else if len(all) == 1 {
		for only := range all {
			name = only
		}
	}
	if _, ok := all[name]; !ok {
		return ""
	}
	return name
}

// unknownProvider refuses a route whose provider of certificates does not exist.
func (m *CertManager) unknownProvider(r *Route) []Problem {
	if r.TLS == nil || r.TLS.Provider == "" || r.TLS.Provider == NoProvider {
		return nil
	}
	all := m.All()
	if _, ok := all[r.TLS.Provider]; ok {
		return nil
	}
	known := append(slices.Sorted(maps.Keys(all)), NoProvider)
	return []Problem{{
		Object: refOf("Route", r.Name, r.Meta.Ref), Field: "tls.provider", Reason: ReasonInvalid, Position: r.Meta.Place("tls.provider"),
		Message: fmt.Sprintf("there is no provider %q under certManager.providers; use one of %s", r.TLS.Provider, strings.Join(known, ", ")),
	}}
}
