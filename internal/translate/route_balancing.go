// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
)

// loadBalancing translates how requests are shared out.
func loadBalancing(b *v1alpha1.LoadBalancing) *config.LoadBalancing {
	if b == nil {
		return nil
	}
	out := &config.LoadBalancing{Policy: b.Policy, SlowStart: span(b.SlowStart)}
	if b.HashOn != nil {
		out.HashOn = &config.HashOn{Source: b.HashOn.Source, Name: b.HashOn.Name}
	}
	if b.Sticky != nil {
		c := config.StickyCookie(b.Sticky.Cookie)
		c.HTTPOnly = copied(c.HTTPOnly)
		out.Sticky = &config.Sticky{Cookie: c}
	}
	return out
}

// outlierDetection translates what takes failing backends out.
func outlierDetection(o *v1alpha1.OutlierDetection) *config.OutlierDetection {
	if o == nil {
		return nil
	}
	return &config.OutlierDetection{
		ConsecutiveErrors:  o.ConsecutiveErrors,
		BaseEjectionTime:   span(o.BaseEjectionTime),
		MaxEjectionTime:    span(o.MaxEjectionTime),
		MaxEjectionPercent: copied(o.MaxEjectionPercent),
		PanicThreshold:     copied(o.PanicThreshold),
	}
}

// routeTimeouts translates the limits of requests to backends.
func routeTimeouts(t *v1alpha1.RouteTimeouts) *config.RouteTimeouts {
	if t == nil {
		return nil
	}
	return &config.RouteTimeouts{
		Connect: span(t.Connect), ResponseHeader: span(t.ResponseHeader), Idle: span(t.Idle), Total: span(t.Total),
	}
}

// copied shares no memory with p.
func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
