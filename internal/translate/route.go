// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"slices"
	"strings"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// Paths tells where the gateway finds what is not part of the configuration.
type Paths struct {
	// RouteCerts is the directory with one folder for each Secret that a Route
	// names: tls.crt and tls.key, or ca.crt. Empty is RouteCertsDir.
	RouteCerts string
}

func (p Paths) secretFile(secret, key string) string {
	dir := p.RouteCerts
	if dir == "" {
		dir = RouteCertsDir
	}
	return resolve.SecretFile(dir, secret, key)
}

// Route translates a Route. It shares no memory with r. What is wrong with r is
// told by Bundle; a name of a Secret that cannot be one becomes a path at which
// there is nothing, so that the route cannot serve without it.
func Route(r *v1alpha1.Route, p Paths) *config.Route {
	enabled := r.Spec.Enabled == nil || *r.Spec.Enabled
	out := &config.Route{
		Name:             r.Name,
		Path:             r.Spec.Path,
		Rewrite:          r.Spec.Rewrite,
		Target:           endpoint(r.Spec.Target),
		Methods:          upper(r.Spec.Methods),
		Hosts:            slices.Clone(r.Spec.Hosts),
		Backends:         backends(r.Spec.Backends),
		Priority:         r.Spec.Priority,
		Enabled:          &enabled,
		Middlewares:      slices.Clone(r.Spec.Middlewares),
		HealthCheck:      healthCheck(r.Spec.HealthCheck),
		LoadBalancing:    loadBalancing(r.Spec.LoadBalancing),
		OutlierDetection: outlierDetection(r.Spec.OutlierDetection),
		Timeouts:         routeTimeouts(r.Spec.Timeouts),
		Security:         security(r.Spec.Security, p),
		TLS:              routeTLS(r.Spec.TLS, p),
		Maintenance:      maintenance(r.Spec.Maintenance),
		DisableMetrics:   r.Spec.DisableMetrics,
	}
	out.Meta.Ref = resolve.RouteRef(r)
	if !r.CreationTimestamp.IsZero() {
		out.Meta.Created = r.CreationTimestamp.UTC()
	}
	return out
}

// upper gives methods as they are compared.
func upper(methods []string) []string {
	out := slices.Clone(methods)
	for i, m := range out {
		out[i] = strings.ToUpper(m)
	}
	return out
}

// maintenance translates the answer that a route gives instead of its backend's.
func maintenance(m *v1alpha1.Maintenance) *config.Maintenance {
	if m == nil {
		return nil
	}
	return &config.Maintenance{Enabled: m.Enabled, StatusCode: m.Status, Message: m.Body}
}
