// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/standalone"
)

// The forms of output of check.
const (
	outputText = "text"
	outputJSON = "json"
)

// checkCommand fails on everything that the API server, the operator or a gateway
// would refuse; with --strict on warnings too.
func checkCommand() *cobra.Command {
	var paths []string
	var strict bool
	var output string
	c := &cobra.Command{
		Use: "check -f FILE|DIR...", Short: "Check manifests as the API server, the operator and a gateway would",
		Example: "  goma check -f manifests/\n  helm template chart | goma check -f -",
		Args:    usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := requireFiles(paths); err != nil {
				return err
			}
			if output != outputText && output != outputJSON {
				return usageError{fmt.Errorf("--output is %q; use %s or %s", output, outputText, outputJSON)}
			}
			return check(c, paths, strict, output)
		},
	}
	filesFlag(c, &paths)
	c.Flags().BoolVar(&strict, "strict", false, "fail on warnings too")
	c.Flags().StringVarP(&output, "output", "o", outputText, "text, or json: a list of problems")
	return c
}

func check(c *cobra.Command, paths []string, strict bool, output string) error {
	objects, problems, err := standalone.Check(paths, c.InOrStdin())
	if err != nil {
		return err
	}
	if output == outputJSON {
		err = writeJSON(c, problems)
	} else {
		standalone.Print(c.OutOrStdout(), problems)
		_, err = fmt.Fprintln(c.OutOrStdout(), standalone.Summary(objects, problems))
	}
	if err != nil {
		return err
	}
	if config.HasErrors(problems) || strict && hasWarnings(problems) {
		return errReported
	}
	return nil
}

func writeJSON(c *cobra.Command, problems []config.Problem) error {
	if problems == nil {
		problems = []config.Problem{}
	}
	e := json.NewEncoder(c.OutOrStdout())
	e.SetIndent("", "  ")
	return e.Encode(problems)
}

func hasWarnings(problems []config.Problem) bool {
	for _, p := range problems {
		if p.Severity == config.SeverityWarning {
			return true
		}
	}
	return false
}
