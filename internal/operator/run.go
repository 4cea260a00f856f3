// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"crypto/tls"
	"fmt"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
)

// Run runs the operator against the API server of cfg until ctx ends. It
// returns nil when ctx ended it.
func Run(ctx context.Context, cfg *rest.Config, o Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	m, err := newManager(ctx, cfg, o)
	if err != nil {
		return err
	}
	if err := m.Start(ctx); err != nil {
		return fmt.Errorf("running the operator: %w", err)
	}
	return nil
}

func newManager(ctx context.Context, cfg *rest.Config, o Options) (ctrl.Manager, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	log := logr.Discard()
	if o.Logger != nil {
		log = logr.FromSlogHandler(o.Logger.Handler())
	}
	ctrl.SetLogger(log)
	m, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme:                        scheme,
		Logger:                        log,
		Cache:                         cacheOptions(o.watched()),
		Client:                        client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}},
		Metrics:                       metricsOptions(o),
		HealthProbeBindAddress:        orOff(o.ProbeAddress),
		LeaderElection:                o.LeaderElection,
		LeaderElectionID:              LeaseName,
		LeaderElectionNamespace:       o.LeaderNamespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 new(leaseDuration),
		RenewDeadline:                 new(renewDeadline),
		RetryPeriod:                   new(retryPeriod),
		// A process may run several operators one after another, as tests do.
		Controller: config.Controller{SkipNameValidation: new(true), RecoverPanic: new(true)},
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the operator: %w", err)
	}
	if err := m.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("preparing the operator: %w", err)
	}
	if err := m.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("preparing the operator: %w", err)
	}
	if err := addIndexes(ctx, m.GetFieldIndexer()); err != nil {
		return nil, err
	}
	return m, addControllers(m, o)
}

func newScheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(s); err != nil {
		return nil, fmt.Errorf("registering kinds: %w", err)
	}
	if err := v1alpha1.AddToScheme(s); err != nil {
		return nil, fmt.Errorf("registering kinds: %w", err)
	}
	return s, nil
}

func metricsOptions(o Options) metricsserver.Options {
	m := metricsserver.Options{BindAddress: orOff(o.MetricsAddress), SecureServing: !o.MetricsInsecure}
	if m.SecureServing {
		m.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	if !o.HTTP2 {
		// HTTP/2 has a history of floods that need no authentication.
		m.TLSOpts = []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }}
	}
	return m
}

// orOff spells "nowhere" as controller-runtime does.
func orOff(address string) string {
	if address == "" {
		return "0"
	}
	return address
}
