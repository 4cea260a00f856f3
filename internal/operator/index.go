// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/translate"
)

// The indexes answer "who refers to this" without a walk over all objects.
const (
	indexRouteGateway     = "spec.gateways"
	indexRouteMiddleware  = "spec.middlewares"
	indexGatewayMonitored = "spec.server.monitoring.middleware.metrics"
	indexController       = "metadata.controller.uid"
)

func addIndexes(ctx context.Context, x client.FieldIndexer) error {
	for _, i := range []struct {
		kind  client.Object
		field string
		keys  client.IndexerFunc
	}{
		{&v1alpha1.Route{}, indexRouteGateway, func(o client.Object) []string { return o.(*v1alpha1.Route).Spec.Gateways }},
		{&v1alpha1.Route{}, indexRouteMiddleware, func(o client.Object) []string { return o.(*v1alpha1.Route).Spec.Middlewares }},
		{&v1alpha1.Gateway{}, indexGatewayMonitored, func(o client.Object) []string {
			return translate.MonitoringMiddlewares(o.(*v1alpha1.Gateway))
		}},
	} {
		if err := x.IndexField(ctx, i.kind, i.field, i.keys); err != nil {
			return fmt.Errorf("indexing %T by %s: %w", i.kind, i.field, err)
		}
	}
	for _, kind := range ownedKinds() {
		if err := x.IndexField(ctx, kind, indexController, controllerUID); err != nil {
			return fmt.Errorf("indexing %T by %s: %w", kind, indexController, err)
		}
	}
	return nil
}

func controllerUID(o client.Object) []string {
	if ref := metav1.GetControllerOf(o); ref != nil {
		return []string{string(ref.UID)}
	}
	return nil
}
