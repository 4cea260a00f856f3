// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// running is a source that runs until the test ends.
type running struct {
	t       *testing.T
	updates chan Update
	last    Update
}

func run(t *testing.T, s Source) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{t: t, updates: make(chan Update, 1000)}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, func(u Update) { r.updates <- u }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the run ended with %v", err)
		}
	})
	return r
}

// until waits for an update that fits.
func (r *running) until(what string, fits func(Update) bool) Update {
	r.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case u := <-r.updates:
			if r.last = u; fits(u) {
				return u
			}
		case <-deadline:
			r.t.Fatalf("no update with %s; the last one is %v %v", what, names(r.last), r.last.Problems)
		}
	}
}

func (r *running) untilNames(want ...string) Update {
	r.t.Helper()
	return r.until(fmt.Sprint(want), func(u Update) bool { return u.Bundle != nil && slices.Equal(names(u), want) })
}

func names(u Update) []string {
	var list []string
	if u.Bundle != nil {
		for _, r := range u.Bundle.Routes {
			list = append(list, r.Name)
		}
	}
	return list
}

// parse reads JSON, which is enough here.
func parse(_ string, data []byte) (*config.Bundle, []config.Problem, error) {
	var b config.Bundle
	err := json.Unmarshal(data, &b)
	return &b, nil, err
}

func doc(names ...string) string {
	var routes []string
	for _, n := range names {
		routes = append(routes, fmt.Sprintf(`{"name":%q,"path":"/"}`, n))
	}
	return `{"routes":[` + strings.Join(routes, ",") + `]}`
}

// write replaces a file at once, as editors and tools do.
func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o750))
	must(t, os.WriteFile(path+".tmp", []byte(text), 0o600))
	must(t, os.Rename(path+".tmp", path))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func directory(dir string, watch bool) *Directory {
	return NewDirectory(DirectoryOptions{
		Name: "file", Kind: config.SourceFile, Dir: dir, Field: "gateway.providers.file.directory", Watch: watch, Parse: parse,
	})
}

func TestADirectoryIsReadAndFollowed(t *testing.T) { // S2
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "b.yaml"), doc("b"))
	write(t, filepath.Join(dir, "a.json"), doc("a"))
	write(t, filepath.Join(dir, "sub", "c.yml"), doc("c"))
	write(t, filepath.Join(dir, ".hidden", "x.yaml"), doc("hidden"))
	write(t, filepath.Join(dir, "notes.txt"), "no document")
	must(t, os.Mkdir(filepath.Join(dir, "folder.json"), 0o750))
	r := run(t, directory(dir, true))
	first := r.untilNames("a", "b", "c")

	write(t, filepath.Join(dir, "b.yaml"), doc("b2"))
	second := r.untilNames("a", "b2", "c")
	if first.Bundle.Routes[0] != second.Bundle.Routes[0] {
		t.Error("a route of a file that did not change has another pointer")
	}
	write(t, filepath.Join(dir, "sub", "new", "deep", "d.yaml"), doc("d"))
	r.untilNames("a", "b2", "c", "d")
	write(t, filepath.Join(dir, "sub", "new", "deep", "d.yaml"), doc("d2")) // a folder that came later is followed too
	r.untilNames("a", "b2", "c", "d2")
	must(t, os.WriteFile(filepath.Join(dir, "a.json"), []byte(doc("a2")), 0o600)) // in place
	r.untilNames("a2", "b2", "c", "d2")
	must(t, os.RemoveAll(filepath.Join(dir, "sub")))
	r.untilNames("a2", "b2")
	must(t, os.Rename(filepath.Join(dir, "a.json"), filepath.Join(dir, "z.json")))
	r.untilNames("b2", "a2")
	must(t, os.Remove(filepath.Join(dir, "z.json")))
	must(t, os.Remove(filepath.Join(dir, "b.yaml")))
	r.until("nothing", func(u Update) bool { return u.Bundle != nil && len(u.Bundle.Routes) == 0 && len(u.Problems) == 0 })
}

func TestABrokenFileKeepsItsLastGoodContentAndHurtsNoOther(t *testing.T) { // S1, S2, C4
	t.Parallel()
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.json"), filepath.Join(dir, "b.json")
	write(t, a, doc("a"))
	write(t, b, "{")
	r := run(t, directory(dir, true))
	u := r.untilNames("a")
	if len(u.Problems) != 1 || u.Problems[0].Object.Name != b || u.Problems[0].Reason != config.ReasonUnreadable {
		t.Fatalf("problems %v", u.Problems)
	}
	write(t, b, doc("b"))
	if u = r.untilNames("a", "b"); len(u.Problems) != 0 {
		t.Fatalf("problems %v after the repair", u.Problems)
	}
	write(t, a, "}")
	u = r.until("a problem", func(u Update) bool { return len(u.Problems) == 1 })
	if !slices.Equal(names(u), []string{"a", "b"}) || !strings.Contains(u.Problems[0].Message, "last good") {
		t.Fatalf("%v %v", names(u), u.Problems)
	}
	write(t, b, doc("b2"))
	r.untilNames("a", "b2")
	write(t, a, doc("a2"))
	r.untilNames("a2", "b2")
}

func TestADirectoryThatVanishesKeepsItsContent(t *testing.T) { // S2
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "routes")
	write(t, filepath.Join(dir, "a.json"), doc("a"))
	r := run(t, directory(dir, true))
	r.untilNames("a")
	must(t, os.Rename(dir, dir+".away"))
	u := r.until("a problem", func(u Update) bool { return len(u.Problems) == 1 })
	if !slices.Equal(names(u), []string{"a"}) || u.Problems[0].Field != "gateway.providers.file.directory" {
		t.Fatalf("%v %v", names(u), u.Problems)
	}
	write(t, filepath.Join(dir, "a.json"), doc("a2"))
	r.until("a2 and no problem", func(u Update) bool { return slices.Equal(names(u), []string{"a2"}) && len(u.Problems) == 0 })
}

func TestADirectoryThatComesLaterIsRead(t *testing.T) { // S1: also without watch
	t.Parallel()
	for _, watch := range []bool{true, false} {
		root := t.TempDir()
		r := run(t, directory(filepath.Join(root, "some", "where"), watch))
		if u := r.until("a problem", func(u Update) bool { return len(u.Problems) == 1 }); u.Bundle != nil {
			t.Fatal("a missing directory was taken for an empty one")
		}
		// It comes with its content: without watch, what comes first is read and
		// nothing after it.
		write(t, filepath.Join(root, "aside", "where", "a.json"), doc("a"))
		must(t, os.Rename(filepath.Join(root, "aside"), filepath.Join(root, "some")))
		r.untilNames("a")
	}
}

func TestAVolumeOfKubernetesIsFollowedThroughItsLinks(t *testing.T) { // S2
	t.Parallel()
	dir := t.TempDir()
	swap := func(version, text string) {
		write(t, filepath.Join(dir, ".."+version, "routes.json"), text)
		must(t, os.Symlink(".."+version, filepath.Join(dir, "..tmp")))
		must(t, os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")))
	}
	swap("1", doc("one"))
	must(t, os.Symlink("..data/routes.json", filepath.Join(dir, "routes.json")))
	r := run(t, directory(dir, true))
	r.untilNames("one")
	swap("2", doc("two"))
	r.untilNames("two")
	must(t, os.RemoveAll(filepath.Join(dir, "..1")))
	swap("3", doc("one"))
	r.untilNames("one")
}

func TestALinkInACircleEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "sub", "a.json"), doc("a"))
	must(t, os.Symlink("..", filepath.Join(dir, "sub", "up")))
	must(t, os.Symlink("nowhere", filepath.Join(dir, "dangling.json")))
	run(t, directory(dir, true)).untilNames("a")
}

func TestWithoutWatchOnlyARefreshReads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.json"), doc("a"))
	d := directory(dir, false)
	r := run(t, d)
	r.untilNames("a")
	write(t, filepath.Join(dir, "a.json"), doc("b"))
	must(t, d.Refresh(t.Context()))
	select {
	case u := <-r.updates: // published before Refresh returned
		if !slices.Equal(names(u), []string{"b"}) {
			t.Errorf("got %v", names(u))
		}
	default:
		t.Error("Refresh returned before the update")
	}
	must(t, os.RemoveAll(dir))
	if err := d.Refresh(t.Context()); err == nil {
		t.Error("Refresh of a directory that is gone reports nothing")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := directory(dir, false).Refresh(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Refresh of a source that does not run: %v", err)
	}
}

func TestAnIndexIsReadFromItsFirstCompleteCommitAndAnswered(t *testing.T) { // K4, K5, S1
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "k8s")
	x := NewIndexed("kubernetes", dir, parse)
	r := run(t, x)
	w, err := wire.NewWriter(dir)
	must(t, err)
	t.Cleanup(func() { _ = w.Close() })
	object := func(name, path string) wire.Object {
		return wire.Object{Route: &config.Route{Name: name, Path: path}}
	}
	commit := func(c wire.Change) uint64 {
		t.Helper()
		generation, err := w.Commit(c)
		must(t, err)
		return generation
	}
	commit(wire.Change{Set: []wire.Object{object("a", "/")}})
	generation := commit(wire.Change{Set: []wire.Object{object("b", "/")}, Complete: true})
	first := r.untilNames("a", "b")
	if first.Generation != generation || first.Checksum != w.Checksum() {
		t.Errorf("generation %d %s, want %d %s", first.Generation, first.Checksum, generation, w.Checksum())
	}
	commit(wire.Change{Set: []wire.Object{object("b", "/b")}, Complete: true})
	second := r.until("the new b", func(u Update) bool {
		return u.Bundle != nil && len(u.Bundle.Routes) == 2 && u.Bundle.Routes[1].Path == "/b"
	})
	if first.Bundle.Routes[0] != second.Bundle.Routes[0] {
		t.Error("a route that did not change has another pointer")
	}
	x.Answer(wire.Answer{Generation: second.Generation, Routes: 2})
	answers := NewWatcher()
	defer answers.Close()
	deadline := time.After(patience)
	for {
		answers.Watch([]string{wire.AnswerDir(dir)})
		if a, err := wire.ReadAnswer(dir); err == nil && a.Generation == second.Generation && a.Routes == 2 {
			return
		}
		select {
		case <-answers.Changed():
		case <-deadline:
			t.Fatal("no answer")
		}
	}
}

func TestMemoryDeliversTheNewest(t *testing.T) {
	t.Parallel()
	m := NewMemory("up", config.SourceKubernetes)
	m.Publish(Update{Bundle: &config.Bundle{Routes: []*config.Route{{Name: "a"}}}})
	r := run(t, m)
	r.untilNames("a")
	m.Publish(Update{Problems: []config.Problem{{Message: "broken edit"}}})
	u := r.until("a problem", func(u Update) bool { return len(u.Problems) == 1 })
	if !slices.Equal(names(u), []string{"a"}) {
		t.Error("a problem without a Bundle took the Bundle away")
	}
	m.Publish(Update{Bundle: &config.Bundle{Routes: []*config.Route{{Name: "b"}}}})
	r.untilNames("b")
}

func TestWhatAPathLeadsThroughIsWatched(t *testing.T) {
	t.Parallel()
	root, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	at := func(parts ...string) string { return filepath.Join(append([]string{root}, parts...)...) }
	write(t, at("store", "v1", "tls.crt"), "x")
	must(t, os.Mkdir(at("certs"), 0o750))
	must(t, os.Symlink("../store/v1", at("certs", "secret")))
	must(t, os.Symlink("loop", at("loop")))
	for path, want := range map[string][]string{
		at("certs", "secret", "tls.crt"): {at("certs"), at("store", "v1")},
		at("certs", "none", "tls.crt"):   {at("certs")},
		at("store", "v1"):                {at("store"), at("store", "v1")},
		at("store", "v1", "tls.crt"):     {at("store", "v1")},
		at("loop", "x"):                  {root},
		at("no", "such", "thing"):        {root},
	} {
		set := map[string]bool{}
		addDirectories(set, path)
		var got []string
		for d := range set {
			got = append(got, d)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}
