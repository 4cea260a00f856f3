// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestADirectoryStandsForTheManifestsBelowIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"b.yaml", "a.yml", "sub/c.json", "sub/D.YAML", "notes.txt", ".hidden.yaml", ".git/x.yaml", "sub/.y/z.yaml"} {
		write(t, filepath.Join(dir, name), "")
	}
	must(t, os.Symlink(filepath.Join(dir, "b.yaml"), filepath.Join(dir, "link.yaml")))
	must(t, os.Symlink("nowhere", filepath.Join(dir, "broken.yaml")))
	named := filepath.Join(dir, "notes.txt")
	have, err := manifestFiles([]string{dir, named, filepath.Join(dir, ".", "b.yaml")})
	must(t, err)
	var names []string
	for _, f := range have {
		rel, err := filepath.Rel(dir, f)
		must(t, err)
		names = append(names, rel)
	}
	want := []string{"a.yml", "b.yaml", "link.yaml", "sub/D.YAML", "sub/c.json", "notes.txt"}
	if !slices.Equal(names, want) {
		t.Errorf("have %v, want %v", names, want)
	}
	folders := directoriesOf([]string{dir, Stdin})
	if !slices.Contains(folders, filepath.Join(dir, "sub")) || slices.ContainsFunc(folders, func(f string) bool { return strings.Contains(f, "/.") }) {
		t.Errorf("folders to watch: %v", folders)
	}
}

func TestALinkToADirectoryIsFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "real", "a.yaml"), "")
	must(t, os.Symlink("real", filepath.Join(dir, "link")))
	have, err := manifestFiles([]string{filepath.Join(dir, "link")})
	must(t, err)
	if !slices.Equal(have, []string{filepath.Join(dir, "link", "a.yaml")}) {
		t.Error(have)
	}
}

func TestAPathThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	_, err := manifestFiles([]string{"/no/such/place"})
	if err == nil || err.Error() != "there is no file or directory /no/such/place" {
		t.Error(err)
	}
	if _, err := NewLoader(nil, nil); err == nil {
		t.Error("no paths are accepted")
	}
}
