// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Command helm writes what is made of the charts, which are the one source of
// every way to install the operator:
//
//	go run . [ROOT]                writes deploy/install.yaml, deploy/kustomize and the definitions of deploy/chart-crds
//	go run . package VERSION OUT   writes both charts as archives of a version into the folder OUT
//
// It is a module of its own, so that Helm is no dependency of the programs. Its
// tool of the same name is Helm itself: go tool helm.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "helm:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	root := filepath.Join("..", "..", "..")
	if len(args) == 3 && args[0] == "package" {
		return pack(root, args[1], args[2])
	}
	if len(args) == 1 {
		root = args[0]
	}
	files, err := generated(root)
	if err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(root, "deploy", filepath.FromSlash(name))
		if err := os.WriteFile(path, text, 0o644); err != nil { //nolint:gosec // a manifest is no secret
			return fmt.Errorf("writing %s: %w", path, err)
		}
	}
	return nil
}
