// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

// copyDir gives a copy of dir whose index is cut after n bytes.
func copyDir(t *testing.T, dir string, n int) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(to, indexName), int64(n)); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestReaderSeesTheLastCompleteCommitWhereverTheWriterStopped cuts the log at
// every byte, as a writer that is killed while it writes would leave it.
func TestReaderSeesTheLastCompleteCommitWhereverTheWriterStopped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := openWriter(t, dir)
	index := filepath.Join(dir, indexName)
	var ends []int
	var worlds []map[string]string
	step := func(c Change, world map[string]string) {
		// The files of all commits stay, since every one of them is looked at.
		w.superfluous = map[string]struct{}{}
		commit(t, w, c)
		info, err := os.Stat(index)
		if err != nil {
			t.Fatal(err)
		}
		ends, worlds = append(ends, int(info.Size())), append(worlds, world)
	}
	step(Change{Set: routeObjects(testRoute("a", "http://1"))}, map[string]string{"a": "http://1"})
	step(Change{Set: routeObjects(testRoute("b", "http://1"))}, map[string]string{"a": "http://1", "b": "http://1"})
	step(Change{Set: routeObjects(testRoute("a", "http://2")), Delete: []Key{{KindRoute, "b"}}}, map[string]string{"a": "http://2"})
	step(Change{Set: routeObjects(testRoute("c", "http://3"))}, map[string]string{"a": "http://2", "c": "http://3"})

	for n := range ends[len(ends)-1] + 1 {
		cut := copyDir(t, dir, n)
		committed := -1
		for i, end := range ends {
			if n >= end {
				committed = i
			}
		}
		r := openReader(t, cut)
		v := read(t, r)
		if committed < 0 {
			if v != nil {
				t.Fatalf("cut after %d bytes: a view of nothing complete: %v", n, targets(v))
			}
		} else {
			wantTargets(t, v, worlds[committed])
		}
		// The writer that comes next goes on from there, and the same reader follows.
		next := openWriter(t, cut)
		commit(t, next, Change{Set: routeObjects(testRoute("next", "http://n")), Whole: true})
		wantTargets(t, read(t, r), map[string]string{"next": "http://n"})
		if next.Generation() != uint64(committed+2) {
			t.Fatalf("cut after %d bytes: generation %d, want %d", n, next.Generation(), committed+2)
		}
	}
}

func TestHalfWrittenFilesAreSweptUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := openWriter(t, dir)
	commit(t, w, Change{Set: routeObjects(testRoute("a", "http://1"))})
	for _, path := range []string{filepath.Join(dir, newPrefix+"1"), filepath.Join(dir, objectsDir, newPrefix+"2"), filepath.Join(dir, objectsDir, "route-gone-0.json")} {
		if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	next := openWriter(t, dir)
	commit(t, next, Change{Set: routeObjects(testRoute("a", "http://2"))})
	for _, d := range []string{dir, filepath.Join(dir, objectsDir)} {
		entries, err := os.ReadDir(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if bytes.HasPrefix([]byte(e.Name()), []byte(newPrefix)) || e.Name() == "route-gone-0.json" {
				t.Errorf("%s is left in %s", e.Name(), d)
			}
		}
	}
}

// TestReaderNeverSeesAPartOfACommit reads while commits are made as fast as they
// can. All routes of a commit have its number as their target.
func TestReaderNeverSeesAPartOfACommit(t *testing.T) { // K1
	t.Parallel()
	dir := t.TempDir()
	w := openWriter(t, dir)
	const commits, routes = 400, 7
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			r := NewReader(dir)
			defer r.Close()
			for last := uint64(0); last < commits; runtime.Gosched() {
				v, _, err := r.Read()
				if err != nil {
					t.Error(err)
					return
				}
				if v == nil {
					continue
				}
				if v.Generation < last || len(v.Problems) > 0 || !whole(v, routes) {
					t.Errorf("after %d came %d with %v and %v", last, v.Generation, targets(v), v.Problems)
					return
				}
				last = v.Generation
			}
		})
	}
	for i := range commits {
		var set []*config.Route
		for n := range routes {
			set = append(set, testRoute(fmt.Sprint("r", n), strconv.Itoa(i+1)))
		}
		commit(t, w, Change{Set: routeObjects(set...)})
	}
	readers.Wait()
}

func whole(v *View, routes int) bool {
	for _, r := range v.Bundle.Routes {
		if r.Target != strconv.FormatUint(v.Generation, 10) {
			return false
		}
	}
	return len(v.Bundle.Routes) == routes
}

// FuzzReader gives a reader any index and any object file.
func FuzzReader(f *testing.F) {
	object, err := encode(Object{Route: testRoute("a", "http://a")})
	if err != nil {
		f.Fatal(err)
	}
	key := Key{KindRoute, "a"}
	good, err := batch{Format: format, Generation: 1, Complete: true, Set: []entry{{Key: key, Hash: hashOf(object)}}}.line()
	if err != nil {
		f.Fatal(err)
	}
	gone, err := batch{Generation: 2, Complete: true, Delete: []Key{key}}.line()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, object)
	f.Add(append(bytes.Clone(good), gone...), object)
	f.Add(good[:len(good)-1], object)
	f.Add([]byte("00000000 {}\n"), []byte(`{"kind":"Route","route":null}`))
	f.Add(good, []byte(`{"kind":"Route","route":[[[[`))
	f.Fuzz(func(t *testing.T, index, object []byte) {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, objectsDir), 0o700); err != nil {
			t.Fatal(err)
		}
		for path, data := range map[string][]byte{
			filepath.Join(dir, indexName):                                 index,
			filepath.Join(dir, objectsDir, fileName(key, hashOf(object))): object,
		} {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r := NewReader(dir)
		defer r.Close()
		v, _, err := r.Read()
		if v != nil && err != nil {
			t.Fatalf("a first view and an error: %v", err)
		}
		// What is decoded from a file must not depend on its hash being right.
		_, _ = NewReader(dir).decode(key, hashOf(object), "x", object)
		// Whatever it was, a writer makes it good again.
		w, err := NewWriter(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if _, err := w.Commit(Change{Set: routeObjects(testRoute("b", "http://b")), Whole: true, Complete: true}); err != nil {
			t.Fatal(err)
		}
		v, _, err = r.Read()
		if err != nil || len(v.Bundle.Routes) != 1 || v.Bundle.Routes[0].Name != "b" {
			t.Fatalf("after a commit the reader has %v, %v", v, err)
		}
	})
}
