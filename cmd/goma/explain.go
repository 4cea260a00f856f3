// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/standalone"
)

func explainCommand() *cobra.Command {
	var paths []string
	var gateway string
	c := &cobra.Command{
		Use: "explain METHOD URL -f FILE|DIR...", Short: "Tell which route takes a request, and why no other does",
		Example: "  goma explain GET https://api.example.com/v1/users -f manifests/",
		Args:    usage(cobra.ExactArgs(2)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := requireFiles(paths); err != nil {
				return err
			}
			objects, err := loadGood(c, paths)
			if err != nil {
				return err
			}
			gw, err := objects.Gateway(gateway)
			if err != nil {
				return err
			}
			e, err := standalone.Explain(objects, gw, args[0], args[1])
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(c.OutOrStdout(), standalone.ExplanationText(e))
			return err
		},
	}
	filesFlag(c, &paths)
	c.Flags().StringVar(&gateway, "gateway", "", "NAME or NAMESPACE/NAME of the Gateway, where there are several")
	return c
}

// loadGood reads manifests that the API server would take, and reports others.
func loadGood(c *cobra.Command, paths []string) (*standalone.Objects, error) {
	loader, err := standalone.NewLoader(paths, c.InOrStdin())
	if err != nil {
		return nil, err
	}
	objects, problems, err := loader.Load()
	if err != nil {
		return nil, err
	}
	standalone.Sort(problems)
	standalone.Print(c.ErrOrStderr(), problems)
	if config.HasErrors(problems) {
		return nil, errReported
	}
	return objects, nil
}
