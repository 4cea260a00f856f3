// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/operator/board"
	"gateway.jkaninda.dev/goma/internal/operator/status"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// routeReconciler judges Routes.
type routeReconciler struct {
	client  client.Client
	writer  *status.Writer
	secrets *secrets
	board   *board.Board
}

// Reconcile judges one Route and writes its status.
func (r *routeReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var route v1alpha1.Route
	err := r.client.Get(ctx, req.NamespacedName, &route)
	if apierrors.IsNotFound(err) {
		r.writer.Forget("Route", req.NamespacedName)
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	facts, retry, err := r.facts(ctx, &route)
	if err != nil {
		return ctrl.Result{}, err
	}
	_, err = r.writer.Route(ctx, &route, status.Route(facts))
	if status.Again(err) {
		return ctrl.Result{RequeueAfter: passSpace}, nil
	}
	result := ctrl.Result{}
	if retry {
		result.RequeueAfter = secretRetry
	}
	return result, client.IgnoreNotFound(err)
}

// facts gathers what is known of a Route. retry asks to look again: it lacks a
// Secret, whose coming nobody announces.
func (r *routeReconciler) facts(ctx context.Context, route *v1alpha1.Route) (f status.RouteFacts, retry bool, err error) {
	f = status.RouteFacts{Route: route, Now: time.Now()}
	found, retry, err := r.middlewares(ctx, route, &f)
	if err != nil {
		return f, false, err
	}
	f.Spec = checkRoute(route)
	refs, _ := resolve.RouteSecrets(route)
	for _, ref := range refs {
		_, problem, err := r.secrets.check(ctx, ref)
		if err != nil {
			return f, false, err
		}
		if problem != nil {
			f.Refs = append(f.Refs, *problem)
			retry = true
		}
	}
	present := form(route, found)
	for _, name := range route.Spec.Gateways {
		g, err := r.gateway(ctx, route, name, present)
		if err != nil {
			return f, false, err
		}
		f.Gateways = append(f.Gateways, g)
	}
	return f, retry, nil
}

// middlewares reads the Middlewares that the Route names and notes those that
// are missing or cannot be built. retry tells that one lacks a Secret.
func (r *routeReconciler) middlewares(ctx context.Context, route *v1alpha1.Route, f *status.RouteFacts) (found map[string]*v1alpha1.Middleware, retry bool, err error) {
	found = map[string]*v1alpha1.Middleware{}
	missing := map[string]bool{}
	for i, name := range route.Spec.Middlewares {
		if found[name] != nil || missing[name] {
			continue
		}
		var m v1alpha1.Middleware
		err := r.client.Get(ctx, client.ObjectKey{Namespace: route.Namespace, Name: name}, &m)
		if apierrors.IsNotFound(err) {
			missing[name] = true
			f.MissingMiddlewares = append(f.MissingMiddlewares, name)
			continue
		}
		if err != nil {
			return nil, false, fmt.Errorf("reading Middleware %s: %w", name, err)
		}
		found[name] = &m
		_, lacks, err := r.secrets.middlewareSecrets(ctx, &m)
		if err != nil {
			return nil, false, err
		}
		retry = retry || len(lacks) > 0
		if problems := append(checkMiddleware(&m), lacks...); config.HasErrors(problems) {
			f.Refs = append(f.Refs, unusable(route, i, &m, problems))
		}
	}
	return found, retry, nil
}

func (r *routeReconciler) gateway(ctx context.Context, route *v1alpha1.Route, name, present string) (status.RouteGateway, error) {
	g := status.RouteGateway{Name: name}
	var gw v1alpha1.Gateway
	key := client.ObjectKey{Namespace: route.Namespace, Name: name}
	err := r.client.Get(ctx, key, &gw)
	if apierrors.IsNotFound(err) {
		return g, nil
	}
	if err != nil {
		return g, fmt.Errorf("reading Gateway %s: %w", name, err)
	}
	g.Exists, g.Generation = true, gw.Generation
	g.Live, g.Seen = r.board.Route(key, route.Name, present)
	return g, nil
}
