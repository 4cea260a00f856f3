// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"slices"
	"time"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// healthCheck translates the check of a route's backends.
func healthCheck(h *v1alpha1.HealthCheck) *config.HealthCheck {
	if h == nil {
		return nil
	}
	return &config.HealthCheck{
		Path:            h.Path,
		Interval:        span(h.Interval),
		Timeout:         span(h.Timeout),
		HealthyStatuses: slices.Clone(h.HealthyStatuses),
	}
}

// durationProblems finds durations that are none. The schema refuses them, but an
// object may be older than the schema, and a typing error must not become the
// default in silence.
func durationProblems(r *v1alpha1.Route) []config.Problem {
	var problems []config.Problem
	for _, f := range durations(&r.Spec) {
		if f.text == "" {
			continue
		}
		if _, err := time.ParseDuration(f.text); err != nil {
			problems = append(problems, config.Problem{
				Object: resolve.RouteRef(r), Field: f.field, Reason: config.ReasonInvalid,
				Message: fmt.Sprintf("%q is not a duration; write it like 30s or 1m30s", f.text),
			})
		}
	}
	return problems
}

type namedText struct{ field, text string }

// durations lists all durations of a Route.
func durations(s *v1alpha1.RouteSpec) (list []namedText) {
	if h := s.HealthCheck; h != nil {
		list = append(list, namedText{"spec.healthCheck.interval", h.Interval}, namedText{"spec.healthCheck.timeout", h.Timeout})
	}
	if b := s.LoadBalancing; b != nil {
		list = append(list, namedText{"spec.loadBalancing.slowStart", b.SlowStart})
	}
	if o := s.OutlierDetection; o != nil {
		list = append(list,
			namedText{"spec.outlierDetection.baseEjectionTime", o.BaseEjectionTime},
			namedText{"spec.outlierDetection.maxEjectionTime", o.MaxEjectionTime})
	}
	if t := s.Timeouts; t != nil {
		list = append(list,
			namedText{"spec.timeouts.connect", t.Connect}, namedText{"spec.timeouts.responseHeader", t.ResponseHeader},
			namedText{"spec.timeouts.idle", t.Idle}, namedText{"spec.timeouts.total", t.Total})
	}
	return list
}
