// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Command goma-k8s-provider is the sidecar of a gateway pod: it hands Routes,
// Middlewares and certificates to the gateway. It is configured by environment,
// see package k8sprovider.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"gateway.jkaninda.dev/goma/internal/k8sprovider"
	"gateway.jkaninda.dev/goma/internal/memory"
	"gateway.jkaninda.dev/goma/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	if err := command().ExecuteContext(ctx); err != nil {
		os.Exit(1)
	}
}

const long = `goma-k8s-provider runs beside a gateway and hands it the Routes, Middlewares
and certificates of its Gateway. It is configured by environment:

  GOMA_K8S_GATEWAY      name of the Gateway to serve (required)
  GOMA_K8S_NAMESPACE    its namespace (default: that of the pod)
  GOMA_K8S_OUTPUT_DIR   where the bundle goes (default /etc/goma/providers/k8s)
  GOMA_K8S_CERTS_DIR    where certificates go (default /etc/goma/route-certs)
  GOMA_K8S_POD          pod to carry the gateway's report (default: none)
  GOMA_K8S_LISTEN       address of /healthz, /readyz, /metrics (default :9903)
  GOMA_K8S_DEBOUNCE_MS  how long events are taken together (default 50)
  GOMA_K8S_STOP_DELAY   how long to go on after SIGTERM, such as 5s (default 0)
  GOMA_K8S_GATEWAY_HEALTH  URL of the gateway; when it is gone the delay ends
  GOMA_K8S_STORE_SOCKET where the gateway is answered that keeps certificates in the
                        Secrets of its Gateway (default: nowhere)
  GOMA_K8S_LOG_LEVEL    debug, info, warn or error (default info)`

func command() *cobra.Command {
	var kubeconfig string
	c := &cobra.Command{
		Use:           "goma-k8s-provider",
		Short:         "Hand Routes, Middlewares and certificates to a gateway",
		Long:          long,
		Args:          cobra.NoArgs,
		Version:       version.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			logger := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{
				Level: k8sprovider.LogLevel(os.Getenv("GOMA_K8S_LOG_LEVEL")),
			}))
			klog.SetSlogLogger(logger)
			err := run(c.Context(), kubeconfig, logger)
			if err != nil {
				logger.Error("provider stopped", "err", err)
			}
			return err
		},
	}
	c.SetVersionTemplate(version.String() + "\n")
	c.Flags().StringVar(&kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"),
		"file that says how to reach the API server; without it, the service account of the pod")
	return c
}

func run(ctx context.Context, kubeconfig string, logger *slog.Logger) error {
	memory.Limit()
	options := k8sprovider.FromEnvironment(os.Getenv)
	options.Logger = logger
	config, namespace, err := k8sprovider.Connect(kubeconfig)
	if err != nil {
		return err
	}
	options.Config = config
	if options.Namespace == "" {
		options.Namespace = namespace
	}
	return k8sprovider.Run(ctx, options)
}
