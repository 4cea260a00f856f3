// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"gateway.jkaninda.dev/goma/internal/memory"
	"gateway.jkaninda.dev/goma/internal/operator"
	"gateway.jkaninda.dev/goma/internal/operator/stack"
	"gateway.jkaninda.dev/goma/internal/version"
)

// Requests per second to the API server. The defaults of client libraries are
// made for a person at a prompt; the API server has its own fairness.
const (
	requestsPerSecond = 100
	requestBurst      = 200
)

// flags is the command line.
type flags struct {
	operator.Options

	kubeconfig    string
	logLevel      string
	metricsSecure bool
}

func newCommand() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:           "goma-operator",
		Short:         "Turn Gateway objects into running gateways",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd, f)
		},
	}
	f.register(cmd.Flags())
	cmd.AddCommand(&cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version.String())
			return err
		},
	})
	return cmd
}

func (f *flags) register(set *pflag.FlagSet) {
	set.StringSliceVar(&f.Namespaces, "watch-namespaces", nil, "look at these namespaces only, and need no rights in others; all when there are none")
	set.StringVar(&f.Namespace, "namespace", "", "one more of --watch-namespaces")
	set.StringVar(&f.MetricsAddress, "metrics-bind-address", "0", "address of the metrics endpoint, such as :8443; 0 turns it off")
	set.BoolVar(&f.metricsSecure, "metrics-secure", true, "serve metrics with TLS, and only to those who may get /metrics")
	set.StringVar(&f.ProbeAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0 turns them off")
	set.BoolVar(&f.LeaderElection, "leader-elect", false, "of several operators let one work at a time")
	set.StringVar(&f.LeaderNamespace, "leader-election-namespace", "", "namespace of the Lease; that of the pod when empty")
	set.BoolVar(&f.HTTP2, "enable-http2", false, "allow HTTP/2 on the metrics endpoint")
	set.DurationVar(&f.Resync, "resync", 0, "how often a Gateway is looked at without a reason (0: every ten minutes)")
	set.StringVar(&f.Images.Gateway, "default-gateway-image", "", "image for Gateways that name none or "+stack.DefaultGatewayImage)
	set.StringVar(&f.Images.Sidecar, "default-provider-image", "", "image of the sidecar for Gateways that name none or "+stack.DefaultSidecarImage)
	set.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file; without it KUBECONFIG, then the pod's own account")
	set.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	former(set)
}

// former accepts flags of earlier releases, so that an existing Deployment
// starts. The first is another spelling; the others have no effect.
func former(set *pflag.FlagSet) {
	set.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "zap-log-level" {
			name = "log-level"
		}
		return pflag.NormalizedName(name)
	})
	set.Bool("zap-devel", false, "")
	for _, name := range []string{"zap-encoder", "zap-stacktrace-level", "zap-time-encoding"} {
		set.String(name, "", "")
	}
	for _, name := range []string{"zap-devel", "zap-encoder", "zap-stacktrace-level", "zap-time-encoding"} {
		if err := set.MarkHidden(name); err != nil {
			panic(err) // the flag was defined above
		}
	}
}

func run(cmd *cobra.Command, f flags) error {
	logger, err := newLogger(cmd.ErrOrStderr(), f.logLevel)
	if err != nil {
		return err
	}
	memory.Limit()
	cfg, err := restConfig(f.kubeconfig)
	if err != nil {
		return err
	}
	o := f.Options
	o.Logger = logger
	o.MetricsInsecure = !f.metricsSecure
	logger.Info("starting", "version", version.Version, "namespaces", strings.Join(append(o.Namespaces, o.Namespace), " "))
	return operator.Run(cmd.Context(), cfg, o)
}

func newLogger(w io.Writer, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(strings.ToUpper(level))); err != nil {
		return nil, fmt.Errorf("log level %q: use debug, info, warn or error", level)
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l})), nil
}

// restConfig finds the API server: by the file, by KUBECONFIG, or as a pod.
func restConfig(kubeconfig string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the API server: %w", err)
	}
	cfg.QPS, cfg.Burst = requestsPerSecond, requestBurst
	cfg.UserAgent = "goma-operator/" + version.Version
	return cfg, nil
}
