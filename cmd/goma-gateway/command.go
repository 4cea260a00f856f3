// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway"
	"gateway.jkaninda.dev/goma/internal/memory"
	"gateway.jkaninda.dev/goma/internal/version"
)

// command is the command line. Without a subcommand it is server.
func command() *cobra.Command {
	root := serverCommand("goma-gateway")
	root.Short = "API gateway: routes, middlewares and TLS in front of your services"
	root.Version = version.String()
	root.SetVersionTemplate("{{.Version}}\n")
	server := serverCommand("server")
	server.Short = "Start the gateway"
	root.AddCommand(server, configCommand(), versionCommand())
	return root
}

// serverCommand runs the gateway until a signal comes.
func serverCommand(use string) *cobra.Command {
	var path string
	var strict bool
	c := &cobra.Command{
		Use: use, Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			memory.Limit()
			return gateway.Run(c.Context(), gateway.Options{ConfigFile: config.Resolve(path), Strict: strict})
		},
	}
	c.Flags().StringVarP(&path, "config", "c", "", "configuration file (default $GOMA_CONFIG_FILE, then /etc/goma/goma.yml)")
	c.Flags().BoolVar(&strict, "strict", false, "refuse a configuration file with unknown keys")
	return c
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print version, configuration version, build time and commit", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), version.String())
			return err
		},
	}
}
