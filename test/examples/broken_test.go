// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build examples

package examples

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the expected texts anew")

// broken gives the names of manifests, and the text that goma check must print
// for each.
func broken(t *testing.T, dir string) (names []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(paths) < 5 {
		t.Fatalf("only %d manifests in %s: %v", len(paths), dir, err)
	}
	for _, p := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(p), ".yaml"))
	}
	return names
}

// checked runs goma check and compares what it says.
func checked(t *testing.T, dir, name string) (text string) {
	t.Helper()
	code, have, errs := goma(t, dir, "check", "-f", name+".yaml")
	if code != 1 || errs != "" {
		t.Errorf("exit code %d instead of 1: %s%s", code, have, errs)
	}
	golden := filepath.Join(dir, name+".txt")
	if *update {
		must(t, os.WriteFile(golden, []byte(have), 0o644))
		return have
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if have != string(want) {
		t.Errorf("have\n%s\nwant\n%s", have, want)
	}
	return have
}

// located is an error with file, line, object or field, and reason.
var located = regexp.MustCompile(`^[a-z0-9-]+\.yaml:\d+(:\d+)?: error: .+ \([A-Z][A-Za-z]+\)$`)

// errorLines gives the errors, each of which must say where it is.
func errorLines(t *testing.T, text string) (lines []string) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.Contains(line, ": error: ") {
			continue
		}
		if !located.MatchString(line) {
			t.Errorf("it does not say where, or why: %s", line)
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		t.Errorf("there is no error:\n%s", text)
	}
	return lines
}

// What the API server would refuse is refused by check and by up, with the same
// words.
func TestBrokenManifestsAreRefusedWithFileLineAndReason(t *testing.T) { // C5
	t.Parallel()
	const dir = "testdata/refused"
	for _, name := range broken(t, dir) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := errorLines(t, checked(t, dir, name))
			code, out, errs := goma(t, dir, "up", "-f", name+".yaml", "--http", "127.0.0.1:0", "--https", "none", "--admin", "none")
			if code != 1 || out != "" {
				t.Errorf("up: exit code %d, %s", code, out)
			}
			for _, line := range lines {
				if !strings.Contains(errs, line+"\n") {
					t.Errorf("up does not say %s, but\n%s", line, errs)
				}
			}
		})
	}
}

// What a cluster would accept and not serve is an error of check; up says the
// same, and serves the rest.
func TestWhatCannotBeServedCostsNobodyElseAnything(t *testing.T) { // C4
	t.Parallel()
	const dir = "testdata/unserved"
	for _, name := range broken(t, dir) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := errorLines(t, checked(t, dir, name))
			p := up(t, dir, append([]string{"-f", name + ".yaml"}, backends(t, []string{"http://app:80"}, nil)...)...)
			for _, line := range lines {
				p.untilPrinted(line + "\n")
			}
			if a := p.send(request{path: "/good"}); a.status != 200 || a.header.Get(sawBackend) != "app" {
				t.Errorf("/good is %d %s", a.status, a.body)
			}
			text, err := os.ReadFile(filepath.Join(dir, name+".yaml"))
			must(t, err)
			if !strings.Contains(string(text), "path: /bad") {
				return
			}
			if a := p.send(request{path: "/bad"}); a.status != 503 || a.body == "" {
				t.Errorf("/bad is %d %q, and must be closed", a.status, a.body)
			}
		})
	}
}
