// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"time"
)

// drain ends serving without cutting a request. E1
//
// First the gateway says that it is not ready, and goes on serving while load
// balancers take notice. Then no new connections are taken and clients are told
// to go elsewhere, and what runs gets the grace period. The admin listener is the
// last to go, so that probes see what is going on.
func (g *gateway) drain(patiently bool) {
	g.readiness.Drain()
	g.listeners.retire()
	if patiently && g.delay > 0 {
		g.log.Info("draining: not ready any more, still serving", "delay", g.delay)
		timer := time.NewTimer(g.delay)
		<-timer.C
	}
	g.log.Info("draining: waiting for requests to end", "grace", g.grace)
	ctx, cancel := context.WithTimeout(context.Background(), g.grace)
	defer cancel()
	if err := drainAll(ctx, g.listeners.public()...); err != nil {
		g.log.Warn("some requests had not ended when the time was up", "grace", g.grace, "err", err)
	}
	ending, cancelAdmin := context.WithTimeout(context.Background(), time.Second)
	defer cancelAdmin()
	if admin := g.listeners.admin; admin != nil {
		_ = admin.Drain(ending) // probes that are still there have been answered often
	}
	g.listeners.close()
	g.log.Info("stopped")
}
