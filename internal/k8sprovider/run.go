// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package k8sprovider

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/translate"
	"gateway.jkaninda.dev/goma/internal/version"
	"gateway.jkaninda.dev/goma/internal/wire"
)

// Run is the sidecar. It works until the context ends, and StopDelay longer, and
// returns an error only for what a restart with other options or another volume
// may put right: an API server that is away, a right that is missing or an
// object that is broken never end it.
func Run(ctx context.Context, o Options) error {
	o = o.withDefaults()
	if err := o.Validate(); err != nil {
		return err
	}
	if o.ACMESecret != "" {
		o.Logger.Warn("GOMA_K8S_ACME_SECRET is set, but this build does not mirror the store of issued certificates", "secret", o.ACMESecret)
	}
	api, err := newClients(o.Config)
	if err != nil {
		return err
	}
	// Everything below ends with this context, also when one part fails.
	ctx, stop := outlast(ctx, o.StopDelay, answering(o.GatewayHealth))
	defer stop()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("listening for probes: %w", err)
	}
	defer listener.Close()
	if o.Listening != nil {
		o.Listening(listener.Addr().String())
	}
	p := &provider{options: o, api: api}
	if err := p.open(ctx); err != nil {
		return err
	}
	defer p.engine.writer.Close()
	if p.store, err = p.openStore(ctx); err != nil {
		return err
	}
	o.Logger.Info("provider started", "gateway", o.Gateway, "namespace", o.Namespace,
		"generation", p.engine.writer.Generation(), "version", version.Version)
	return p.work(ctx, stop, listener)
}

// provider is the sidecar at work.
type provider struct {
	options  Options
	api      clients
	engine   *engine
	reporter *reporter
	store    *store // nil where the gateway keeps its certificates elsewhere
}

// open continues what is on disk.
func (p *provider) open(ctx context.Context) error {
	o := p.options
	certs, err := openCertStore(o.CertsDir)
	if err != nil {
		return err
	}
	writer, err := wire.NewWriter(o.OutputDir)
	if err != nil {
		return err
	}
	gateway := types.NamespacedName{Namespace: o.Namespace, Name: o.Gateway}
	m := newMetrics()
	p.reporter = newReporter(o.Logger, m, o.OutputDir)
	p.engine = &engine{
		log: o.Logger, gateway: gateway, debounce: o.Debounce, metrics: m,
		state:  translate.NewState(gateway, translate.Paths{RouteCerts: o.CertsDir}),
		writer: writer, certs: certs, secrets: newSecretWatches(ctx, p.watchSecret),
		changed: p.reporter.update, events: make(chan func(), 1024),
		unlisted: map[string]bool{"routes": true, "middlewares": true, "gateways": true},
		pending:  pending{}, unneeded: map[string]farewell{},
	}
	p.engine.ready.Store(writer.Generation() > 0)
	m.generation.Set(float64(writer.Generation()))
	p.reporter.applied = func(generation uint64) {
		p.engine.send(ctx, func() { p.engine.takeApplied(generation) })
	}
	if o.Pod != "" {
		p.reporter.patch = func(ctx context.Context, body []byte) error {
			return p.api.annotate(ctx, o.Namespace, o.Pod, body)
		}
	}
	return nil
}

// work runs the parts until the context ends or one of them fails.
func (p *provider) work(ctx context.Context, stop context.CancelFunc, listener net.Listener) error {
	var running sync.WaitGroup
	failures := make(chan error, 3)
	start := func(part func(context.Context) error) {
		running.Go(func() {
			if err := part(ctx); err != nil {
				failures <- err
				stop()
			}
		})
	}
	start(p.reporter.run)
	start(func(ctx context.Context) error { return serve(ctx, listener, handler(p.engine)) })
	if p.store != nil {
		start(p.store.run)
	}
	for _, w := range p.watches() {
		running.Go(func() { follow(ctx, w) })
	}
	p.engine.run(ctx)
	p.engine.secrets.wait()
	running.Wait()
	close(failures)
	var all []error
	for err := range failures {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// watches are those that last as long as the sidecar.
func (p *provider) watches() []watchOptions {
	e := p.engine
	kinds := []struct {
		resource, name string
		kind           runtime.Object
		take           func(change)
	}{
		{"routes", "", &v1alpha1.Route{}, e.takeRoutes},
		{"middlewares", "", &v1alpha1.Middleware{}, e.takeMiddlewares},
		{"gateways", p.options.Gateway, &v1alpha1.Gateway{}, e.takeGateway},
	}
	var list []watchOptions
	for _, k := range kinds {
		list = append(list, watchOptions{
			client: p.api.gateway, resource: k.resource, namespace: p.options.Namespace, name: k.name, kind: k.kind,
			send:   func(c change) { e.send(e.secrets.ctx, func() { k.take(c) }) },
			failed: p.watchFailed(k.resource), log: p.options.Logger,
		})
	}
	if p.store != nil {
		list = append(list, p.store.watches(p)...)
	}
	return list
}

// watchSecret watches one Secret until the context ends.
func (p *provider) watchSecret(ctx context.Context, name string, s *secret) {
	e := p.engine
	failed := p.watchFailed("secrets")
	follow(ctx, watchOptions{
		client: p.api.core, resource: "secrets", namespace: p.options.Namespace, name: name, kind: &corev1.Secret{},
		send: func(c change) { e.send(ctx, func() { e.takeSecret(s, c) }) },
		failed: func(err error) {
			failed(err)
			e.send(ctx, func() { e.denySecret(s, err) })
		},
		log: p.options.Logger,
	})
}

// watchFailed counts what a watch goes on after by itself.
func (p *provider) watchFailed(resource string) func(error) {
	failures := p.engine.metrics.watchErrors.WithLabelValues(resource)
	return func(error) { failures.Inc() }
}
