// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"fmt"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/admin"
	"gateway.jkaninda.dev/goma/internal/gateway/route"
)

// ejected is the error of an endpoint that passes its health check, if there is one.
const ejected = "taken out for a while, since it fails requests"

// routeHealth gives the last results of the probes of the live routes that have
// a health check, and what outlier detection has taken out. It is nil when no route
// has either.
func (g *gateway) routeHealth() []admin.RouteState {
	var list []admin.RouteState
	s := g.live.Current()
	if s == nil {
		return nil
	}
	withErrors := s.Config().Gateway.Monitoring.IncludeRouteHealthErrors
	s.Live(func(_ *route.Entry, r *config.Route) {
		if (r.HealthCheck == nil || r.HealthCheck.Path == "") && r.OutlierDetection == nil {
			return
		}
		results := g.registry.Health(r)
		for i, result := range results {
			state := admin.RouteState{Name: r.Name, Status: "healthy"}
			if len(results) > 1 {
				state.Name = fmt.Sprintf("%s - [%d]", r.Name, i)
			}
			reason := result.Error
			if result.Healthy && result.Ejected {
				reason = ejected
			}
			if !result.Healthy || result.Ejected {
				state.Status = "unhealthy"
				if withErrors {
					state.Error = reason
				}
			}
			list = append(list, state)
		}
	})
	return list
}
