// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Command gen writes deploy/install.yaml, the one manifest that installs the
// operator: the namespace, then the custom resource definitions, then the rest
// of deploy/operator in the order of its file names.
//
//	go run ./internal/operator/gen [ROOT]
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

const header = `# The Goma operator: namespace, custom resource definitions, rights and Deployment.
# Generated from deploy/crds and deploy/operator by "make generate": do not edit.
`

func main() {
	root := "."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	if err := write(root); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func write(root string) error {
	text, err := install(root)
	if err != nil {
		return err
	}
	path := filepath.Join(root, "deploy", "install.yaml")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// install gives the manifest.
func install(root string) ([]byte, error) {
	crds, err := manifests(root, "crds")
	if err != nil {
		return nil, err
	}
	parts, err := manifests(root, "operator")
	if err != nil {
		return nil, err
	}
	// The namespace first: what is in it cannot be created before it.
	files := slices.Concat(parts[:1], crds, parts[1:])
	var out bytes.Buffer
	out.WriteString(header)
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		text = bytes.TrimPrefix(bytes.TrimSpace(text), []byte("---\n"))
		fmt.Fprintf(&out, "---\n%s\n", text)
	}
	return out.Bytes(), nil
}

// manifests lists the files of a folder of deploy by name.
func manifests(root, folder string) ([]string, error) {
	pattern := filepath.Join(root, "deploy", folder, "*.yaml")
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", pattern, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no manifests match %s", pattern)
	}
	slices.Sort(files)
	return files, nil
}
