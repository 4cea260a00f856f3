// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

// A file is edited in steps; after each one these Routes are there.
func TestABrokenEditKeepsTheLastGoodObjects(t *testing.T) {
	t.Parallel()
	good := routeOf("a", "/a", "") + "---\n" + routeOf("b", "/b", "")
	for name, c := range map[string]struct {
		edit         string
		routes, kept string
		problem      string
	}{
		"an object is removed":            {routeOf("a", "/a", ""), "a", "", ""},
		"an object is refused":            {routeOf("a", "/a", "") + "---\n" + routeOf("b", "/b", ", nonsense: 1"), "a b", "b", "nonsense"},
		"a refused one beside a new one":  {routeOf("c", "/c", "") + "---\n" + routeOf("b", "/b", ", nonsense: 1"), "b c", "b", "nonsense"},
		"a document cannot be read":       {routeOf("a", "/new", "") + "---\nfoo: [\n", "a b", "b", "a.yaml:6"},
		"the whole file cannot be read":   {"\x00", "a b", "a b", "zero byte"},
		"a new object that is refused":    {good + "---\n" + routeOf("c", "/c", ", nonsense: 1"), "a b", "", "c: spec.nonsense"},
		"the file is empty":               {"", "", "", ""},
		"a name stands twice":             {good + "---\n" + routeOf("a", "/other", ""), "a b", "", "DuplicateName"},
		"the file holds only a new thing": {routeOf("c", "/c", ""), "c", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.yaml")
			write(t, path, good)
			l, err := NewLoader([]string{filepath.Dir(path)}, nil)
			must(t, err)
			if _, problems, err := l.Load(); err != nil || len(problems) > 0 {
				t.Fatal(problems, err)
			}
			write(t, path, c.edit)
			o, problems, err := l.Load()
			must(t, err)
			if have := routeNames(o); have != c.routes {
				t.Errorf("routes %q, want %q", have, c.routes)
			}
			if have := refNames(o.Kept); have != c.kept {
				t.Errorf("kept %q, want %q", have, c.kept)
			}
			if text := lines(problems); (c.problem == "") != (text == "") || !strings.Contains(text, c.problem) {
				t.Errorf("problems %q, want %q", text, c.problem)
			}
			write(t, path, good)
			o, problems, err = l.Load()
			must(t, err)
			if have := routeNames(o); have != "a b" || len(problems)+len(o.Kept) > 0 {
				t.Errorf("after the repair: %q, %v", have, problems)
			}
		})
	}
}

func TestAFileThatIsRemovedTakesItsObjectsAlong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), routeOf("a", "/a", ""))
	write(t, filepath.Join(dir, "b.yaml"), routeOf("b", "/b", ""))
	l, err := NewLoader([]string{dir}, nil)
	must(t, err)
	_, _, err = l.Load()
	must(t, err)
	must(t, os.Remove(filepath.Join(dir, "a.yaml")))
	o, _, err := l.Load()
	must(t, err)
	if have := routeNames(o); have != "b" {
		t.Error(have)
	}
	must(t, os.RemoveAll(dir))
	if _, _, err := l.Load(); err == nil {
		t.Error("a directory that is gone is no error")
	}
}

func TestOfOneNameInTwoFilesTheFirstIsUsed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), routeOf("x", "/first", ""))
	write(t, filepath.Join(dir, "b.yaml"), "\n"+routeOf("x", "/second", ""))
	l, err := NewLoader([]string{dir}, nil)
	must(t, err)
	o, problems, err := l.Load()
	must(t, err)
	if len(o.Routes) != 1 || o.Routes[0].Spec.Path != "/first" {
		t.Error(o.Routes)
	}
	if text := Line(problems[0]); !strings.HasPrefix(text, filepath.Join(dir, "b.yaml")+":4:") || !strings.Contains(text, filepath.Join(dir, "a.yaml")+":3:") {
		t.Error(text)
	}
}

func TestSecretsHoldBothFormsOfData(t *testing.T) {
	t.Parallel()
	o := load(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: x}\ndata: {a: MQ==, b: Mg==}\nstringData: {b: two}\n")
	if len(o.Secrets) != 1 || o.Count != 1 || o.Files != 1 {
		t.Fatal(o)
	}
	for name, s := range o.Secrets {
		if name.String() != "x/s" || string(s.Data["a"]) != "1" || string(s.Data["b"]) != "two" {
			t.Error(name, s.Data)
		}
	}
}

func TestTheStandardInputIsReadOnce(t *testing.T) {
	t.Parallel()
	l, err := NewLoader([]string{Stdin}, strings.NewReader(routeOf("a", "/a", ", nonsense: 1")))
	must(t, err)
	for range 2 {
		_, problems, err := l.Load()
		must(t, err)
		if len(problems) != 1 || problems[0].Position.File != "stdin" {
			t.Error(problems)
		}
	}
}

func routeNames(o *Objects) string {
	var names []string
	for _, r := range o.Routes {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func refNames(refs []config.ObjectRef) string {
	var names []string
	for _, r := range refs {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}
