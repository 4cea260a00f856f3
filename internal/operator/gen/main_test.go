// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestInstallYAMLIsFresh(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "..")
	want, err := install(root)
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile(filepath.Join(root, "deploy", "install.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Error("deploy/install.yaml is not what deploy/crds and deploy/operator give: run make generate")
	}
}
