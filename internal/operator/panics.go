// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// panics counts those outside of reconcilers, whose own controller-runtime counts:
// a handful of series.
var panics = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "goma_operator_panics_total",
	Help: "Panics while the operator found out whom a change concerns, by where. One series for each place.",
}, []string{"where"})

func init() { metrics.Registry.MustRegister(panics) }

// mapped wakes the objects that find names. It runs where the cache hands out
// changes, so a panic in it would end the process, and again after each start: one
// object would stop the work on all others. E5, O13
func mapped(where string, find handler.MapFunc) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(guarded(where, find))
}

func guarded(where string, find handler.MapFunc) handler.MapFunc {
	panics.WithLabelValues(where)
	return func(ctx context.Context, o client.Object) (out []ctrl.Request) {
		// Who is not woken now is looked at when resync comes.
		defer caught(ctx, where, func() { out = nil })
		return find(ctx, o)
	}
}

// caught is deferred. After a panic it counts, logs, and calls instead.
func caught(ctx context.Context, where string, instead func()) {
	p := recover()
	if p == nil {
		return
	}
	panics.WithLabelValues(where).Inc()
	ctrl.LoggerFrom(ctx).Error(fmt.Errorf("panic: %v", p), "A change was not followed", "where", where, "stack", string(debug.Stack()))
	instead()
}
