// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestProviderNeedsTheNameOfItsGateway(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "config")
	text := `{"apiVersion":"v1","kind":"Config","current-context":"c",
		"clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:1"}}],
		"contexts":[{"name":"c","context":{"cluster":"c","namespace":"shop"}}]}`
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOMA_K8S_GATEWAY", "")
	t.Setenv("GOMA_K8S_NAMESPACE", "")
	c := command()
	c.SetArgs([]string{"--kubeconfig", kubeconfig})
	err := c.ExecuteContext(t.Context())
	if err == nil || !strings.Contains(err.Error(), "GOMA_K8S_GATEWAY") {
		t.Errorf("got %v, want an error that names GOMA_K8S_GATEWAY", err)
	}
	if err != nil && strings.Contains(err.Error(), "GOMA_K8S_NAMESPACE") {
		t.Errorf("the namespace of the kubeconfig was not taken: %v", err)
	}
}

func TestHelpListsEveryVariable(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../internal/k8sprovider/options.go")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c := command()
	c.SetOut(&out)
	c.SetArgs([]string{"--help"})
	if err := c.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(source), `getenv("`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		if name != "GOMA_K8S_ACME_SECRET" && !strings.Contains(out.String(), name) {
			t.Errorf("the help does not mention %s", name)
		}
	}
}
