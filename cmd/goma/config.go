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
	"gateway.jkaninda.dev/goma/internal/standalone"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "config", Short: "Write and check goma.yml files", Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(initCommand(), configCheckCommand())
	return c
}

// initCommand is the only one that writes a sample. C1
func initCommand() *cobra.Command {
	var path string
	var force bool
	c := &cobra.Command{
		Use: "init -o FILE", Short: "Write a sample goma.yml", Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if path == "" {
				return usageError{errors.New("name the file to write with --output")}
			}
			if err := writeSample(path, force); err != nil {
				return err
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), "wrote", path)
			return err
		},
	}
	c.Flags().StringVarP(&path, "output", "o", "", "file to write")
	c.Flags().BoolVarP(&force, "force", "f", false, "replace a file that exists")
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

// configCheckCommand fails on everything a gateway would refuse. C5
func configCheckCommand() *cobra.Command {
	var path string
	var strict bool
	c := &cobra.Command{
		Use: "check -c FILE", Short: "Check a goma.yml and the directories it names", Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if path == "" {
				return usageError{errors.New("name the file to check with --config")}
			}
			problems, err := gateway.Check(path, strict)
			standalone.Print(c.OutOrStdout(), problems)
			switch {
			case err != nil:
				return err
			case config.HasErrors(problems):
				return errReported
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), path+": ok")
			return err
		},
	}
	c.Flags().StringVarP(&path, "config", "c", "", "file to check")
	c.Flags().BoolVar(&strict, "strict", false, "refuse unknown keys")
	return c
}
