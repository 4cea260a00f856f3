// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"gateway.jkaninda.dev/goma/internal/version"
)

// command is the command line.
func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "goma",
		Short:         "Run and check Gateway, Route and Middleware manifests without a cluster",
		Version:       version.String(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          usage(cobra.NoArgs),
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(upCommand(), checkCommand(), renderCommand(), explainCommand(), configCommand(), versionCommand())
	return root
}

// usage makes what is wrong with arguments an error of usage.
func usage(args cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, list []string) error {
		if err := args(c, list); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// filesFlag is the flag that all commands share which read manifests.
func filesFlag(c *cobra.Command, paths *[]string) {
	c.Flags().StringArrayVarP(paths, "filename", "f", nil,
		"file, or directory with *.yaml, *.yml and *.json files, or - for the standard input; may be repeated")
}

// requireFiles refuses a command line without manifests.
func requireFiles(paths []string) error {
	if len(paths) == 0 {
		return usageError{fmt.Errorf("name manifests with -f FILE or -f DIR")}
	}
	return nil
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print version, configuration version, build time and commit", Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), version.String())
			return err
		},
	}
}
