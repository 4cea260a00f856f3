// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build examples

package examples

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCommandsEndWithTheDocumentedCode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"version":                  {[]string{"version"}, 0, "Config version: 2"},
		"the version flag":         {[]string{"--version"}, 0, "Config version: 2"},
		"help":                     {[]string{"--help"}, 0, "explain"},
		"no such command":          {[]string{"upp"}, 2, `unknown command "upp"`},
		"no such flag":             {[]string{"check", "--filenam", "x"}, 2, "unknown flag"},
		"no files":                 {[]string{"check"}, 2, "name manifests with -f"},
		"an argument too many":     {[]string{"up", "manifests"}, 2, "unknown command"},
		"a file that is not there": {[]string{"check", "-f", "nosuch.yaml"}, 1, "there is no file or directory nosuch.yaml"},
		"an empty directory":       {[]string{"up", "-f", dir}, 1, "no manifests"},
		"a form of output":         {[]string{"check", "-f", dir, "-o", "xml"}, 2, "use text or json"},
		"a form of rendering":      {[]string{"render", "-f", dir, "-o", "xml"}, 2, "use one of all, objects, config"},
		"an address":               {[]string{"up", "--http", "8080"}, 2, "write HOST:PORT"},
		"a resolution":             {[]string{"up", "--resolve", "a:1"}, 2, "write HOST:PORT=HOST:PORT"},
		"two resolutions":          {[]string{"up", "--resolve", "a:1=b:2", "--resolve", "a:1=c:3"}, 2, "twice"},
		"explain":                  {[]string{"explain", "get", "http://api.example.com/x", "-f", filepath.Join(folder, "08-route-basic.yaml")}, 0, "route: api"},
		"explain a method":         {[]string{"explain", "PATCH", "http://api.example.com/x", "-f", filepath.Join(folder, "08-route-basic.yaml")}, 0, "answer: 405"},
		"explain nothing":          {[]string{"explain", "GET", "http://other/", "-f", filepath.Join(folder, "08-route-basic.yaml")}, 0, "answer: 404"},
		"explain no URL":           {[]string{"explain", "GET", "/x", "-f", filepath.Join(folder, "08-route-basic.yaml")}, 1, "is no URL"},
		"check as JSON":            {[]string{"check", "-f", filepath.Join(folder, "08-route-basic.yaml"), "-o", "json"}, 0, "[]"},
		"a warning":                {[]string{"check", "-f", filepath.Join(folder, "22-route-tls.yaml")}, 0, "2 warnings"},
		"a warning that counts":    {[]string{"check", "--strict", "-f", filepath.Join(folder, "22-route-tls.yaml")}, 1, "2 warnings"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := goma(t, dir, c.args...)
			if code != c.code || !strings.Contains(out+errs, c.want) {
				t.Errorf("exit code %d instead of %d, %q is not in\n%s%s", code, c.code, c.want, out, errs)
			}
		})
	}
}

func TestASampleIsWrittenOnRequestOnlyAndIsGood(t *testing.T) { // C1
	t.Parallel()
	dir := t.TempDir()
	if code, out, errs := goma(t, dir, "config", "check", "-c", "goma.yml"); code != 1 {
		t.Errorf("a missing file: %d %s%s", code, out, errs)
	}
	if _, err := os.Stat(filepath.Join(dir, "goma.yml")); err == nil {
		t.Error("a sample was written")
	}
	if code, _, errs := goma(t, dir, "config", "init", "-o", "goma.yml"); code != 0 {
		t.Fatal(errs)
	}
	if code, out, errs := goma(t, dir, "config", "check", "--strict", "-c", "goma.yml"); code != 0 {
		t.Errorf("the sample is refused: %d %s%s", code, out, errs)
	}
	if code, _, errs := goma(t, dir, "config", "init", "-o", "goma.yml"); code != 1 || !strings.Contains(errs, "--force") {
		t.Errorf("a file that exists: %d %s", code, errs)
	}
}

func TestManifestsMayComeThroughAPipe(t *testing.T) {
	t.Parallel()
	in, err := os.Open(filepath.Join("testdata", "refused", "unknown-middleware-type.yaml"))
	must(t, err)
	defer in.Close() //nolint:errcheck // it is only read
	code, out := pipe(t, in, "check", "-f", "-")
	if code != 1 || !strings.Contains(out, "stdin:6:3: error: Middleware default/m: spec.type:") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}
