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

func TestTheReferenceIsFresh(t *testing.T) {
	t.Parallel()
	all, err := pages()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 {
		t.Errorf("%d pages", len(all))
	}
	for name, want := range all {
		have, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "reference", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, want) {
			t.Errorf("docs/reference/%s is not what the API gives: run make generate", name)
		}
	}
}

// A field without a comment is a field that nobody can use.
func TestEveryFieldIsDescribed(t *testing.T) {
	t.Parallel()
	all, err := pages()
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for name, text := range all {
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, "| `") {
				continue
			}
			rows++
			if cells := strings.Split(strings.TrimSpace(line), " | "); strings.Trim(cells[len(cells)-1], "| ") == "" || strings.HasSuffix(strings.TrimSpace(line), "| |") {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
	if rows < 150 {
		t.Errorf("only %d fields", rows)
	}
	for page, want := range map[string]string{
		"gateway.md":    "| `type` | string | `\"ClusterIP\"` |",
		"route.md":      "## spec.backends[]",
		"middleware.md": "One of `access`",
	} {
		if !strings.Contains(string(all[page]), want) {
			t.Errorf("%s does not hold %q", page, want)
		}
	}
}
