// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func testRoute(name, target string) *config.Route {
	return &config.Route{
		Name: name, Path: "/" + name, Target: target,
		Meta: config.Meta{
			Ref:     config.ObjectRef{Kind: KindRoute, Namespace: "shop", Name: name, Source: Source},
			Created: epoch,
		},
	}
}

func testMiddleware(name, rule string) *config.Middleware {
	return &config.Middleware{
		Name: name, Type: "basicAuth", Rule: json.RawMessage(rule),
		Meta: config.Meta{Ref: config.ObjectRef{Kind: KindMiddleware, Namespace: "shop", Name: name, Source: Source}},
	}
}

func routeObjects(routes ...*config.Route) []Object {
	var list []Object
	for _, r := range routes {
		list = append(list, Object{Route: r})
	}
	return list
}

func openWriter(t *testing.T, dir string) *Writer {
	t.Helper()
	w, err := NewWriter(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func openReader(t *testing.T, dir string) *Reader {
	t.Helper()
	r := NewReader(dir)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func commit(t *testing.T, w *Writer, c Change) uint64 {
	t.Helper()
	c.Complete = true
	g, err := w.Commit(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// read reads without an error and gives the view.
func read(t *testing.T, r *Reader) *View {
	t.Helper()
	v, _, err := r.Read()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func targets(v *View) map[string]string {
	m := map[string]string{}
	for _, r := range v.Bundle.Routes {
		m[r.Name] = r.Target
	}
	return m
}

func wantTargets(t *testing.T, v *View, want map[string]string) {
	t.Helper()
	if v == nil {
		t.Fatal("no view")
	}
	if got := targets(v); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("generation %d holds %v, want %v", v.Generation, got, want)
	}
}

// snapshot lists name, size and time of every file below dir.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var text string
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		text += fmt.Sprintln(path, info.Size(), info.ModTime().UnixNano())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}
