// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/spf13/cobra"

	"gateway.jkaninda.dev/goma/internal/gateway"
	"gateway.jkaninda.dev/goma/internal/standalone"
)

func upCommand() *cobra.Command {
	var o standalone.Options
	var resolve []string
	c := &cobra.Command{
		Use: "up [-f FILE|DIR...]", Short: "Serve manifests without a cluster, and follow their changes",
		Long: `Serve Gateway, Route and Middleware manifests in this process, as a cluster would:
with the validation of the API server, the translation of the operator, and the
data plane of the gateway. Secrets are taken from the manifests. Edits are live.

Without -f a built-in example runs, with a backend that echoes requests.`,
		Example: `  goma up
  goma up -f manifests/ --resolve api.default.svc.cluster.local:8080=127.0.0.1:3000`,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if o.Resolve, err = resolutions(resolve); err != nil {
				return usageError{err}
			}
			if err := checkAddresses(o); err != nil {
				return usageError{err}
			}
			o.Stdin, o.Out, o.Log = c.InOrStdin(), c.OutOrStdout(), c.ErrOrStderr()
			err = standalone.Up(c.Context(), o)
			if errors.Is(err, standalone.ErrRefused) {
				return errReported
			}
			return err
		},
	}
	filesFlag(c, &o.Paths)
	c.Flags().StringVar(&o.Gateway, "gateway", "", "NAME or NAMESPACE/NAME of the Gateway to run, where there are several")
	c.Flags().StringVar(&o.HTTP, "http", "127.0.0.1:8080", "address for HTTP, or none")
	c.Flags().StringVar(&o.HTTPS, "https", "127.0.0.1:8443", "address for HTTPS, or none")
	c.Flags().StringVar(&o.Admin, "admin", "", "address of the admin listener, or none (default 127.0.0.1:9902, if it is free)")
	c.Flags().StringArrayVar(&resolve, "resolve", nil, "HOST:PORT=HOST:PORT: connect there instead, for backends that only a cluster knows; may be repeated")
	return c
}

// resolutions reads HOST:PORT=HOST:PORT.
func resolutions(list []string) (map[string]string, error) {
	out := map[string]string{}
	for _, text := range list {
		from, to, ok := strings.Cut(text, "=")
		if !ok || !isAddress(from) || !isAddress(to) {
			return nil, fmt.Errorf("--resolve %s: write HOST:PORT=HOST:PORT, such as api.default.svc.cluster.local:80=127.0.0.1:3000", text)
		}
		if other, twice := out[from]; twice && other != to {
			return nil, fmt.Errorf("--resolve names %s twice", from)
		}
		out[from] = to
	}
	return out, nil
}

func isAddress(text string) bool {
	host, port, err := net.SplitHostPort(text)
	return err == nil && host != "" && port != ""
}

// checkAddresses refuses what cannot be listened on before anything is read.
func checkAddresses(o standalone.Options) error {
	for _, a := range []struct{ flag, address string }{{"--http", o.HTTP}, {"--https", o.HTTPS}, {"--admin", o.Admin}} {
		if a.address == gateway.None || a.address == "" && a.flag == "--admin" {
			continue
		}
		if _, port, err := net.SplitHostPort(a.address); err != nil || port == "" {
			return fmt.Errorf("%s %q: write HOST:PORT, such as 127.0.0.1:8080, :8080 for all interfaces, or none", a.flag, a.address)
		}
	}
	return nil
}
