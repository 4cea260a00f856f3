// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package k8sprovider

import (
	"context"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
)

// change is news about objects of one kind.
type change struct {
	// set are new or changed objects, gone the names of deleted ones.
	set  []metav1.Object
	gone []string
	// whole says that set is everything there is.
	whole bool
}

// feed is a store in which nothing is stored: what a reflector puts into it goes
// on to the engine, which keeps the translated form only.
type feed struct {
	send func(change)
}

var (
	_ cache.ReflectorStore    = feed{}
	_ cache.TransformingStore = feed{}
)

func (f feed) Add(o any) error    { return f.one(o) }
func (f feed) Update(o any) error { return f.one(o) }

func (f feed) one(o any) error {
	object, err := meta.Accessor(o)
	if err != nil {
		return err
	}
	f.send(change{set: []metav1.Object{object}})
	return nil
}

// Delete also takes the name of an object whose last state was missed.
func (f feed) Delete(o any) error {
	if missed, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = missed.Obj
	}
	object, err := meta.Accessor(o)
	if err != nil {
		return err
	}
	f.send(change{gone: []string{object.GetName()}})
	return nil
}

func (f feed) Replace(list []any, _ string) error {
	c := change{whole: true}
	for _, o := range list {
		object, err := meta.Accessor(o)
		if err != nil {
			return err
		}
		c.set = append(c.set, object)
	}
	f.send(c)
	return nil
}

func (feed) Resync() error { return nil }

// Transformer drops what nobody here reads while a list is still being received.
func (feed) Transformer() cache.TransformFunc { return slim }

func slim(o any) (any, error) {
	object, err := meta.Accessor(o)
	if err != nil {
		return o, nil //nolint:nilerr // a marker of the reflector's own
	}
	object.SetManagedFields(nil)
	switch object := o.(type) {
	case *v1alpha1.Route:
		object.Status = v1alpha1.RouteStatus{}
	case *v1alpha1.Middleware:
		object.Status = v1alpha1.MiddlewareStatus{}
	case *v1alpha1.Gateway:
		object.Status = v1alpha1.GatewayStatus{}
	case *corev1.Secret:
		object.Annotations, object.Labels, object.StringData = nil, nil, nil
	}
	return o, nil
}

// watchOptions say what to watch and whom to tell.
type watchOptions struct {
	client    rest.Interface
	resource  string
	namespace string
	// name limits the watch to one object, so that the right to it by name is
	// enough. Empty is all objects.
	name string
	kind runtime.Object
	send func(change)
	// failed is told that a request was refused or lost. The reflector logs it,
	// with what else goes wrong, and goes on by itself.
	failed func(error)
	log    *slog.Logger
}

// follow watches until the context ends.
func follow(ctx context.Context, o watchOptions) {
	selector := fields.Everything()
	if o.name != "" {
		selector = fields.OneTermEqualSelector(metav1.ObjectNameField, o.name)
	}
	lw := cache.NewListWatchFromClient(o.client, o.resource, o.namespace, selector)
	list, watcher := lw.ListWithContextFunc, lw.WatchFuncWithContext
	lw.ListWithContextFunc = func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		result, err := list(ctx, options)
		o.tell(ctx, err)
		return result, err
	}
	lw.WatchFuncWithContext = func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
		result, err := watcher(ctx, options)
		o.tell(ctx, err)
		return result, err
	}
	logger := logr.FromSlogHandler(o.log.Handler())
	cache.NewReflectorWithOptions(lw, o.kind, feed{send: o.send}, cache.ReflectorOptions{
		Name: o.resource, TypeDescription: o.resource, Logger: &logger,
		// The right to a Secret comes a moment after the Route that names it.
		Backoff: &wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 8, Cap: 15 * time.Second},
	}).RunWithContext(klog.NewContext(ctx, logger))
}

func (o watchOptions) tell(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		o.failed(err)
	}
}
