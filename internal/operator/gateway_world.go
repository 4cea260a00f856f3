// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/operator/stack"
	"gateway.jkaninda.dev/goma/internal/translate"
)

// world is what a pass over a Gateway sees. Its objects belong to the cache and
// are only read.
type world struct {
	routes []*v1alpha1.Route
	// middlewares are those that routes or monitoring name and that exist.
	middlewares map[string]*v1alpha1.Middleware
	pods        []corev1.Pod
	// selector is that of the Deployment as it is; nil when there is none.
	selector map[string]string
}

func (r *gatewayReconciler) observe(ctx context.Context, gw *v1alpha1.Gateway) (world, error) {
	var w world
	var routes v1alpha1.RouteList
	err := r.client.List(ctx, &routes, client.InNamespace(gw.Namespace),
		client.MatchingFields{indexRouteGateway: gw.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return w, fmt.Errorf("listing the Routes of Gateway %s: %w", gw.Name, err)
	}
	for i := range routes.Items {
		w.routes = append(w.routes, &routes.Items[i])
	}
	if w.middlewares, err = r.used(ctx, gw, w.routes); err != nil {
		return w, err
	}
	var pods corev1.PodList
	err = r.client.List(ctx, &pods, client.InNamespace(gw.Namespace), client.MatchingLabels(stack.Labels(gw.Name)))
	if err != nil {
		return w, fmt.Errorf("listing the pods of Gateway %s: %w", gw.Name, err)
	}
	w.pods = sortPods(pods.Items)
	w.selector, err = r.selector(ctx, gw)
	return w, err
}

// used reads each Middleware that the Routes or the monitoring name, once.
func (r *gatewayReconciler) used(ctx context.Context, gw *v1alpha1.Gateway, routes []*v1alpha1.Route) (map[string]*v1alpha1.Middleware, error) {
	out := map[string]*v1alpha1.Middleware{}
	missing := map[string]bool{}
	names := append([]string(nil), translate.MonitoringMiddlewares(gw)...)
	for _, route := range routes {
		names = append(names, route.Spec.Middlewares...)
	}
	for _, name := range names {
		if out[name] != nil || missing[name] {
			continue
		}
		var m v1alpha1.Middleware
		err := r.client.Get(ctx, client.ObjectKey{Namespace: gw.Namespace, Name: name}, &m)
		switch {
		case apierrors.IsNotFound(err):
			missing[name] = true
		case err != nil:
			return nil, fmt.Errorf("reading Middleware %s: %w", name, err)
		default:
			out[name] = &m
		}
	}
	return out, nil
}

// selector reads the selector that the Deployment was created with.
func (r *gatewayReconciler) selector(ctx context.Context, gw *v1alpha1.Gateway) (map[string]string, error) {
	d := stack.Build(stack.Input{Gateway: gw}).Deployment
	live, err := r.applier.Get(ctx, d)
	if err != nil || live == nil {
		return nil, err
	}
	var typed appsv1.Deployment
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, &typed); err != nil {
		return nil, fmt.Errorf("reading Deployment %s: %w", gw.Name, err)
	}
	if typed.Spec.Selector == nil {
		return nil, nil
	}
	return typed.Spec.Selector.MatchLabels, nil
}

// references checks what the Gateway itself refers to. It returns the problems
// and the versions of the Secrets that are part of the pods' environment.
func (r *gatewayReconciler) references(ctx context.Context, gw *v1alpha1.Gateway, p plan) ([]config.Problem, map[string]string, error) {
	problems := append([]config.Problem(nil), p.refs...)
	versions := map[string]string{}
	for _, ref := range stack.Secrets(gw) {
		version, problem, err := r.secrets.check(ctx, ref.SecretRef)
		if err != nil {
			return nil, nil, err
		}
		if problem != nil {
			problems = append(problems, *problem)
		}
		if ref.Environment && version != "" {
			versions[ref.Secret.Name] = version
		}
	}
	return problems, versions, nil
}

// controlled lists the objects of a kind that the Gateway controls.
func (r *gatewayReconciler) controlled(ctx context.Context, gw *v1alpha1.Gateway, kind client.Object) ([]client.Object, error) {
	gvk, err := apiutil.GVKForObject(kind, r.client.Scheme())
	if err != nil {
		return nil, err
	}
	gvk.Kind += "List"
	o, err := r.client.Scheme().New(gvk)
	if err != nil {
		return nil, err
	}
	list := o.(client.ObjectList)
	err = r.client.List(ctx, list, client.InNamespace(gw.Namespace), client.MatchingFields{indexController: string(gw.UID)})
	if err != nil {
		return nil, fmt.Errorf("listing the %s of Gateway %s: %w", strings.TrimSuffix(gvk.Kind, "List"), gw.Name, err)
	}
	var out []client.Object
	err = meta.EachListItem(list, func(o runtime.Object) error {
		out = append(out, o.(client.Object))
		return nil
	})
	return out, err
}

// sameObject compares a desired object, which names its kind, with a cached one
// of the same Go type, which does not.
func sameObject(wanted, live client.Object) bool {
	return fmt.Sprintf("%T", wanted) == fmt.Sprintf("%T", live) && wanted.GetName() == live.GetName()
}
