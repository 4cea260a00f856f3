// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/operator/apply"
	"gateway.jkaninda.dev/goma/internal/operator/board"
	"gateway.jkaninda.dev/goma/internal/operator/stack"
	"gateway.jkaninda.dev/goma/internal/operator/status"
)

// workers is how many objects of a kind are looked at side by side.
const workers = 4

// addControllers sets up the three reconcilers and what wakes them.
func addControllers(m ctrl.Manager, o Options) error {
	c := m.GetClient()
	writer := &status.Writer{Client: c}
	known := newSecrets(m.GetAPIReader())
	b := board.New()
	routes := &waker{}
	g := &gatewayReconciler{
		client: c, applier: &apply.Applier{Client: c, Live: m.GetAPIReader()}, writer: writer, secrets: known,
		board: b, wake: routes.wake, resync: o.resync(), images: o.Images, passes: newPace(passSpace), writes: newPace(statusSpace),
		stores: newPace(storeSpace), announcements: newAnnouncements(m.GetEventRecorder("goma-operator")),
	}
	if err := g.setUp(m); err != nil {
		return fmt.Errorf("setting up the Gateway reconciler: %w", err)
	}
	r := &routeReconciler{client: c, writer: writer, secrets: known, board: b}
	if err := r.setUp(m, routes); err != nil {
		return fmt.Errorf("setting up the Route reconciler: %w", err)
	}
	w := &middlewareReconciler{client: c, writer: writer, secrets: known, writes: newPace(middlewareSpace)}
	if err := w.setUp(m); err != nil {
		return fmt.Errorf("setting up the Middleware reconciler: %w", err)
	}
	return nil
}

func (r *gatewayReconciler) setUp(m ctrl.Manager) error {
	links := links{m.GetClient()}
	b := ctrl.NewControllerManagedBy(m).Named("gateway").
		For(&v1alpha1.Gateway{}, specChanged()).
		Watches(&v1alpha1.Route{}, mapped("gateways of a route", gatewaysOfRoute), specChanged()).
		Watches(&v1alpha1.Middleware{}, mapped("gateways of a middleware", links.gatewaysOfMiddleware), specChanged()).
		Watches(&corev1.Pod{}, mapped("gateway of a pod", gatewayOfPod), builder.WithPredicates(podChanged())).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers})
	for _, kind := range ownedKinds() {
		b = b.Owns(kind)
	}
	return b.Complete(r)
}

func (r *routeReconciler) setUp(m ctrl.Manager, w *waker) error {
	links := links{m.GetClient()}
	return ctrl.NewControllerManagedBy(m).Named("route").
		For(&v1alpha1.Route{}, specChanged()).
		Watches(&v1alpha1.Gateway{}, mapped("routes of a gateway", links.routesOfGateway), builder.WithPredicates(cameOrWent())).
		Watches(&v1alpha1.Middleware{}, mapped("routes of a middleware", links.routesOfMiddleware), specChanged()).
		WatchesRawSource(source.Func(w.start)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
}

func (r *middlewareReconciler) setUp(m ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(m).Named("middleware").
		For(&v1alpha1.Middleware{}, specChanged()).
		Watches(&v1alpha1.Route{}, mapped("middlewares of a route", middlewaresOfRoute), specChanged()).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
}

// specChanged lets through what comes, goes, or changes its generation: not
// changes of a status, a label or an annotation.
func specChanged() builder.Predicates {
	return builder.WithPredicates(predicate.GenerationChangedPredicate{})
}

func cameOrWent() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }}
}

// podChanged lets through what the operator reads of a pod.
func podChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) (through bool) {
		defer caught(context.Background(), "change of a pod", func() { through = true })
		was, is := e.ObjectOld.(*corev1.Pod), e.ObjectNew.(*corev1.Pod)
		return ready(was) != ready(is) || was.Status.Phase != is.Status.Phase || trouble([]corev1.Pod{*was}) != trouble([]corev1.Pod{*is}) ||
			!equality.Semantic.DeepEqual(was.Annotations, is.Annotations) ||
			!equality.Semantic.DeepEqual(was.Labels, is.Labels)
	}}
}

// waker hands Routes to the Route reconciler's queue.
type waker struct {
	mu sync.Mutex

	queue workqueue.TypedRateLimitingInterface[ctrl.Request]
}

func (w *waker) start(_ context.Context, queue workqueue.TypedRateLimitingInterface[ctrl.Request]) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = queue
	return nil
}

// wake is without effect before the Route reconciler runs: at its start it looks
// at every Route anyway.
func (w *waker) wake(namespace string, routes []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue == nil {
		return
	}
	for _, name := range routes {
		w.queue.Add(request(namespace, name))
	}
}

func gatewaysOfRoute(_ context.Context, o client.Object) []ctrl.Request {
	return requests(o.GetNamespace(), o.(*v1alpha1.Route).Spec.Gateways)
}

func middlewaresOfRoute(_ context.Context, o client.Object) []ctrl.Request {
	return requests(o.GetNamespace(), o.(*v1alpha1.Route).Spec.Middlewares)
}

func gatewayOfPod(_ context.Context, o client.Object) []ctrl.Request {
	name := o.GetLabels()[stack.LabelGateway]
	if name == "" {
		return nil
	}
	return []ctrl.Request{request(o.GetNamespace(), name)}
}

// links follows references that take an index to follow.
type links struct{ client client.Reader }

func (l links) routesOfGateway(ctx context.Context, o client.Object) []ctrl.Request {
	return requests(o.GetNamespace(), names(l.routes(ctx, o, indexRouteGateway)))
}

func (l links) routesOfMiddleware(ctx context.Context, o client.Object) []ctrl.Request {
	return requests(o.GetNamespace(), names(l.routes(ctx, o, indexRouteMiddleware)))
}

// gatewaysOfMiddleware finds the Gateways whose Routes or monitoring use it.
func (l links) gatewaysOfMiddleware(ctx context.Context, o client.Object) []ctrl.Request {
	var gateways []string
	for _, route := range l.routes(ctx, o, indexRouteMiddleware) {
		gateways = append(gateways, route.Spec.Gateways...)
	}
	var list v1alpha1.GatewayList
	err := l.client.List(ctx, &list, client.InNamespace(o.GetNamespace()),
		client.MatchingFields{indexGatewayMonitored: o.GetName()}, client.UnsafeDisableDeepCopy)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing Gateways by the Middlewares of their monitoring")
	}
	for i := range list.Items {
		gateways = append(gateways, list.Items[i].Name)
	}
	return requests(o.GetNamespace(), gateways)
}

// routes reads the cache, which can fail only while it stops.
func (l links) routes(ctx context.Context, o client.Object, index string) []v1alpha1.Route {
	var list v1alpha1.RouteList
	err := l.client.List(ctx, &list, client.InNamespace(o.GetNamespace()),
		client.MatchingFields{index: o.GetName()}, client.UnsafeDisableDeepCopy)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing Routes", "index", index)
	}
	return list.Items
}

func names(routes []v1alpha1.Route) []string {
	out := make([]string, len(routes))
	for i := range routes {
		out[i] = routes[i].Name
	}
	return out
}

// requests names each object once.
func requests(namespace string, names []string) []ctrl.Request {
	seen := map[string]bool{}
	var out []ctrl.Request
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			out = append(out, request(namespace, name))
		}
	}
	return out
}

func request(namespace, name string) ctrl.Request {
	return ctrl.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}
