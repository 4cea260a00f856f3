// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

// must ends the test at an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write replaces a file at once.
func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o750))
	must(t, os.WriteFile(path+".tmp", []byte(text), 0o600))
	must(t, os.Rename(path+".tmp", path))
}

// manifests writes documents into a file of a new directory, and gives its path.
func manifests(t *testing.T, docs ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, strings.Join(docs, "---\n"))
	return path
}

func resource(kind, name, spec string) string {
	return "apiVersion: gateway.jkaninda.dev/v1alpha1\nkind: " + kind + "\nmetadata: {name: " + name + "}\nspec: " + spec + "\n"
}

func gatewayOf(name, spec string) string { return resource("Gateway", name, spec) }

func routeOf(name, path, more string) string {
	return resource("Route", name, "{gateways: [gw], path: "+path+", target: \"http://app:80\""+more+"}")
}

func secretOf(name string, data map[string]string) string {
	text := "apiVersion: v1\nkind: Secret\nmetadata: {name: " + name + "}\nstringData:\n"
	for k, v := range data {
		text += "  " + k + ": |\n    " + strings.ReplaceAll(strings.TrimSpace(v), "\n", "\n    ") + "\n"
	}
	return text
}

// load reads manifests in which nothing may be wrong.
func load(t *testing.T, docs ...string) *Objects {
	t.Helper()
	l, err := NewLoader([]string{manifests(t, docs...)}, nil)
	must(t, err)
	o, problems, err := l.Load()
	must(t, err)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return o
}

// lines prints problems with file names that do not depend on the test.
func lines(problems []config.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		p.Position.File = filepath.Base(p.Position.File)
		b.WriteString(Line(p) + "\n")
	}
	return b.String()
}
