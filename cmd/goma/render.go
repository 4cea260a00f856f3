// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/standalone"
	"gateway.jkaninda.dev/goma/internal/translate"
)

// What render prints.
const (
	renderAll     = "all"
	renderObjects = "objects"
	renderConfig  = "config"
)

func renderCommand() *cobra.Command {
	var paths []string
	var gateway, output string
	c := &cobra.Command{
		Use: "render -f FILE|DIR...", Short: "Print the Kubernetes objects and the goma.yml that Gateways become",
		Example: "  goma render -f manifests/\n  goma render -f manifests/ --gateway public --output objects",
		Args:    usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := requireFiles(paths); err != nil {
				return err
			}
			if forms := []string{renderAll, renderObjects, renderConfig}; !slices.Contains(forms, output) {
				return usageError{fmt.Errorf("--output is %q; use one of %s", output, strings.Join(forms, ", "))}
			}
			return render(c, paths, gateway, output)
		},
	}
	filesFlag(c, &paths)
	c.Flags().StringVar(&gateway, "gateway", "", "NAME or NAMESPACE/NAME of one Gateway (default all)")
	c.Flags().StringVarP(&output, "output", "o", renderAll, "objects, config (the goma.yml with all routes and middlewares), or all")
	return c
}

func render(c *cobra.Command, paths []string, gateway, output string) error {
	objects, err := loadGood(c, paths)
	if err != nil {
		return err // what is refused cannot be rendered
	}
	list := objects.Gateways
	if gateway != "" || len(list) == 0 {
		gw, err := objects.Gateway(gateway)
		if err != nil {
			return err
		}
		list = []*v1alpha1.Gateway{gw}
	}
	failed := false
	for i, gw := range list {
		plan, err := standalone.NewPlan(objects, gw, translate.Paths{})
		if err != nil {
			return err
		}
		standalone.Print(c.ErrOrStderr(), plan.Problems)
		failed = failed || config.HasErrors(plan.Problems)
		if err := writePlan(c.OutOrStdout(), plan, output, i == 0); err != nil {
			return err
		}
	}
	if failed {
		return errReported
	}
	return nil
}

// writePlan writes YAML documents, which three dashes part.
func writePlan(w io.Writer, plan *standalone.Plan, output string, first bool) error {
	var documents [][]byte
	var errs [2]error
	if output != renderConfig {
		var text []byte
		text, errs[0] = plan.Objects()
		documents = append(documents, text)
	}
	if output != renderObjects {
		var text []byte
		text, errs[1] = plan.Config()
		documents = append(documents, text)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	for i, text := range documents {
		if !first || i > 0 {
			if _, err := io.WriteString(w, "---\n"); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintln(w, strings.TrimSuffix(string(text), "\n")); err != nil {
			return err
		}
	}
	return nil
}
