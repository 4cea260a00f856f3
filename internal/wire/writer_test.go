// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

func TestCommitOfWhatIsThereWritesNothing(t *testing.T) { // K2
	t.Parallel()
	dir := t.TempDir()
	w := openWriter(t, dir)
	change := Change{Set: append(routeObjects(testRoute("a", "http://a"), testRoute("b", "http://b")),
		Object{Middleware: testMiddleware("m", `{"users":["a:b"]}`)})}
	first := commit(t, w, change)
	before := snapshot(t, dir)

	for range 3 {
		if got := commit(t, w, change); got != first {
			t.Fatalf("generation %d, want it to stay %d", got, first)
		}
	}
	commit(t, w, Change{Delete: []Key{{KindRoute, "nobody"}}})
	change.Whole = true
	commit(t, w, change)
	if after := snapshot(t, dir); after != before {
		t.Errorf("files were written:\n%s\nbefore:\n%s", after, before)
	}
}

func TestChangeOfOneObjectWritesOneFileAndOneLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := openWriter(t, dir)
	var many []*config.Route
	for i := range 500 {
		many = append(many, testRoute(fmt.Sprintf("r%03d", i), "http://old"))
	}
	commit(t, w, Change{Set: routeObjects(many...)})
	files := func() int {
		entries, err := os.ReadDir(filepath.Join(dir, objectsDir))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, indexName))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	filesBefore, sizeBefore := files(), size()
	commit(t, w, Change{Set: routeObjects(testRoute("r007", "http://new"))})
	if n := files() - filesBefore; n != 1 {
		t.Errorf("%d new files, want 1", n)
	}
	if n := size() - sizeBefore; n <= 0 || n > 300 {
		t.Errorf("the index grew by %d bytes, want one short line", n)
	}
}

func TestWriterContinuesAfterARestart(t *testing.T) { // K4
	t.Parallel()
	dir := t.TempDir()
	w := openWriter(t, dir)
	commit(t, w, Change{Set: routeObjects(testRoute("a", "http://a"), testRoute("b", "http://b"))})
	last := commit(t, w, Change{Delete: []Key{{KindRoute, "a"}}})
	sum := w.Checksum()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	again := openWriter(t, dir)
	if again.Generation() != last || again.Checksum() != sum {
		t.Fatalf("continues at %d %s, want %d %s", again.Generation(), again.Checksum(), last, sum)
	}
	if got := commit(t, again, Change{Set: routeObjects(testRoute("b", "http://b")), Whole: true}); got != last {
		t.Errorf("the same world made generation %d, want %d", got, last)
	}
	if got := commit(t, again, Change{Set: routeObjects(testRoute("c", "http://c")), Whole: true}); got != last+1 {
		t.Errorf("generation %d, want %d", got, last+1)
	}
	wantTargets(t, read(t, openReader(t, dir)), map[string]string{"c": "http://c"})
}

func TestLogIsWrittenAnewWhenItHasGrownLong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, r := openWriter(t, dir), openReader(t, dir)
	commit(t, w, Change{Set: routeObjects(testRoute("still", "http://still"), testRoute("busy", "http://0"))})
	still := read(t, r).Bundle.Routes[1]
	if still.Name != "still" {
		t.Fatalf("routes are not in order of name: %s", still.Name)
	}
	longest := 0
	for i := range 500 {
		commit(t, w, Change{Set: routeObjects(testRoute("busy", fmt.Sprintf("http://%d", i+1)))})
		data, err := os.ReadFile(filepath.Join(dir, indexName))
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, bytes.Count(data, []byte("\n")))
		v := read(t, r)
		wantTargets(t, v, map[string]string{"still": "http://still", "busy": fmt.Sprintf("http://%d", i+1)})
		if v.Bundle.Routes[1] != still {
			t.Fatalf("after commit %d the unchanged route has another pointer", i)
		}
		if v.Checksum != w.Checksum() {
			t.Fatalf("checksums differ after commit %d", i)
		}
	}
	if longest < 10 || longest > 64 {
		t.Errorf("the log had up to %d lines, want it appended to and bounded", longest)
	}
	objects, err := os.ReadDir(filepath.Join(dir, objectsDir))
	if err != nil {
		t.Fatal(err)
	}
	if len(objects) > 3 {
		t.Errorf("%d object files are left, want those of this and of the previous commit", len(objects))
	}
}

func TestFileOfThePreviousCommitStaysUntilTheNext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := openWriter(t, dir)
	exists := func(r *config.Route) bool {
		data, err := encode(Object{Route: r})
		if err != nil {
			t.Fatal(err)
		}
		_, err = os.Stat(w.objectPath(fileName(Object{Route: r}.Key(), hashOf(data))))
		return err == nil
	}
	one, two, three := testRoute("a", "http://1"), testRoute("a", "http://2"), testRoute("a", "http://3")
	commit(t, w, Change{Set: routeObjects(one)})
	commit(t, w, Change{Set: routeObjects(two)})
	if !exists(one) || !exists(two) {
		t.Error("a reader may be at the first commit still, but its file is gone")
	}
	commit(t, w, Change{Set: routeObjects(three)})
	if exists(one) || !exists(two) || !exists(three) {
		t.Error("want the files of this and of the previous commit")
	}
	// A version that comes back must not be swept away with its earlier self.
	commit(t, w, Change{Set: routeObjects(two)})
	commit(t, w, Change{Set: routeObjects(testRoute("b", "http://b"))})
	if !exists(two) {
		t.Error("a version that came back was removed")
	}
}

func TestDeleteAndSetOfOneKeyKeepsTheObject(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := openWriter(t, dir)
	commit(t, w, Change{Set: routeObjects(testRoute("a", "http://1"))})
	commit(t, w, Change{Set: routeObjects(testRoute("a", "http://2")), Delete: []Key{{KindRoute, "a"}, {KindRoute, "a"}}})
	wantTargets(t, read(t, openReader(t, dir)), map[string]string{"a": "http://2"})
}

func TestFailedCommitCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, r := openWriter(t, dir), openReader(t, dir)
	commit(t, w, Change{Set: routeObjects(testRoute("a", "http://1"))})
	objects, aside := filepath.Join(dir, objectsDir), filepath.Join(dir, "aside")
	if err := os.Rename(objects, aside); err != nil {
		t.Fatal(err)
	}
	change := Change{Set: routeObjects(testRoute("a", "http://2")), Complete: true}
	if _, err := w.Commit(change); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("got %v, want the missing directory", err)
	}
	if err := os.Rename(aside, objects); err != nil {
		t.Fatal(err)
	}
	wantTargets(t, read(t, r), map[string]string{"a": "http://1"})
	commit(t, w, change)
	wantTargets(t, read(t, r), map[string]string{"a": "http://2"})
}

func TestWriterRefusesWhatItCannotCarry(t *testing.T) {
	t.Parallel()
	inPlace := testRoute("a", "http://a")
	inPlace.TLS = &config.RouteTLS{Certificate: &config.Certificate{Cert: "/c", Key: "-----BEGIN PRIVATE KEY-----\nc2VjcmV0"}}
	broken := testMiddleware("m", `{"a":`)
	tests := map[string]Object{
		"a private key in place":    {Route: inPlace},
		"a rule that is no JSON":    {Middleware: broken},
		"an object without a name":  {Route: &config.Route{}},
		"an object that is nothing": {},
	}
	for name, object := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := openWriter(t, t.TempDir())
			_, err := w.Commit(Change{Set: []Object{object}, Complete: true})
			if err == nil {
				t.Fatal("want an error")
			}
			if strings.Contains(err.Error(), "c2VjcmV0") {
				t.Errorf("the error shows the key: %v", err) // C8
			}
			if w.Generation() != 0 {
				t.Errorf("generation %d, want nothing committed", w.Generation())
			}
		})
	}
}

func TestNamesThatAreNoFileNamesStayInTheDirectory(t *testing.T) { // T8
	t.Parallel()
	dir := t.TempDir()
	w := openWriter(t, filepath.Join(dir, "bundle"))
	names := []string{"../../x", "a/b", strings.Repeat("long.", 50), "UPPER", "rest@internal", "new\nline"}
	var routes []*config.Route
	want := map[string]string{}
	for _, n := range names {
		routes = append(routes, testRoute(n, "http://x"))
		want[n] = "http://x"
	}
	commit(t, w, Change{Set: routeObjects(routes...)})
	wantTargets(t, read(t, openReader(t, filepath.Join(dir, "bundle"))), want)
	objects, err := os.ReadDir(filepath.Join(dir, "bundle", objectsDir))
	if err != nil || len(objects) != len(names) {
		t.Errorf("%d object files, want %d (%v)", len(objects), len(names), err)
	}
	outside, err := os.ReadDir(dir)
	if err != nil || len(outside) != 1 {
		t.Errorf("files outside the directory: %v (%v)", outside, err)
	}
}

func TestFilesAreForOwnerAndGroupOnly(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bundle")
	w := openWriter(t, dir)
	commit(t, w, Change{Set: routeObjects(testRoute("a", "http://a"))})
	if err := WriteAnswer(dir, Answer{Generation: 1}); err != nil {
		t.Fatal(err)
	}
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().Perm()&0o027 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
