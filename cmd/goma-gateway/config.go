// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Write and check configuration files"}
	c.AddCommand(initCommand(), checkCommand())
	return c
}

// initCommand is the only one that writes a sample.
func initCommand() *cobra.Command {
	var path string
	var force bool
	c := &cobra.Command{
		Use: "init", Short: "Write a sample configuration file", Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := writeSample(path, force); err != nil {
				return err
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), "wrote", path)
			return err
		},
	}
	c.Flags().StringVarP(&path, "output", "o", "", "file to write")
	c.Flags().BoolVarP(&force, "force", "f", false, "replace a file that exists")
	_ = c.MarkFlagRequired("output")
	return c
}

func writeSample(path string, force bool) error {
	mode := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	if !force {
		mode |= os.O_EXCL
	}
	f, err := os.OpenFile(path, mode, 0o640)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists; use --force to replace it", path)
	}
	if err != nil {
		return fmt.Errorf("writing the sample: %w", err)
	}
	_, err = f.Write(config.Sample())
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing the sample: %w", err)
	}
	return nil
}

// checkCommand fails on everything the gateway would refuse, and on nothing else.
func checkCommand() *cobra.Command {
	var path string
	var strict bool
	c := &cobra.Command{
		Use: "check", Short: "Check a configuration file and the directories it names", Args: cobra.NoArgs,
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			problems, err := gateway.Check(path, strict)
			out := c.OutOrStdout()
			for _, p := range problems {
				fmt.Fprintf(out, "%s: %s\n", severity(p), p) //nolint:errcheck // what cannot be printed is in the exit code
			}
			switch {
			case err != nil:
				return err
			case config.HasErrors(problems):
				return errReported
			}
			_, err = fmt.Fprintln(out, path+": ok")
			return err
		},
	}
	c.Flags().StringVarP(&path, "config", "c", "", "file to check")
	c.Flags().BoolVar(&strict, "strict", false, "refuse unknown keys")
	_ = c.MarkFlagRequired("config")
	return c
}

func severity(p config.Problem) string {
	if p.Severity == config.SeverityError {
		return "error"
	}
	return string(p.Severity)
}
