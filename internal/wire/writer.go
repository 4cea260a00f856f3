// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// maxIndexBytes bounds what is read of an index.
const maxIndexBytes = 256 << 20

// Change is what one commit does.
type Change struct {
	// Set are the objects that are new or different. Those that are on disk as
	// they are cost nothing.
	Set []Object
	// Delete are the objects that are gone. A key that is also in Set stays.
	Delete []Key
	// Whole says that Set is everything: what it does not name is deleted.
	Whole bool
	// Complete says that with this commit the directory holds a whole Bundle. A
	// reader keeps to the last complete commit.
	Complete bool
}

// Writer writes a directory. It is safe for concurrent use.
type Writer struct {
	dir string

	mu    sync.Mutex
	state *state
	index *os.File
	// rewrite says that the index must be written anew before it may grow.
	rewrite bool
	// superfluous are files that the current complete commit does not need; a
	// reader may still be at the one before, so they go with the next one.
	// replaced collects those that the last complete commit still needs.
	superfluous, replaced map[string]struct{}
}

// NewWriter continues what is in dir, and makes dir when it is missing. What was
// damaged, or was not complete, is as if it had never been committed.
func NewWriter(dir string) (*Writer, error) {
	for _, d := range []string{dir, filepath.Join(dir, objectsDir), filepath.Join(dir, answerDir)} {
		if err := os.MkdirAll(d, dirMode); err != nil {
			return nil, fmt.Errorf("making the bundle directory: %w", err)
		}
	}
	w := &Writer{dir: dir, superfluous: map[string]struct{}{}, replaced: map[string]struct{}{}}
	if err := w.load(); err != nil {
		return nil, fmt.Errorf("reading the bundle in %s: %w", dir, err)
	}
	return w, nil
}

// Close releases the index. The directory stays as it is.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.index == nil {
		return nil
	}
	f := w.index
	w.index = nil
	return f.Close()
}

// Generation is the number of the last complete commit; 0 before the first.
func (w *Writer) Generation() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state.generation
}

// Checksum is that of what is committed.
func (w *Writer) Checksum() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state.sum.String()
}

// Commit makes the change durable, files first and the index last, and gives the
// generation that it has. Nothing is written, and the generation stays, when
// nothing differs. After an error nothing of the change is visible, and the same
// Commit may be tried again.
func (w *Writer) Commit(c Change) (generation uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b, files, err := w.difference(c)
	if err != nil {
		return w.state.generation, err
	}
	if b.size() == 0 && (!c.Complete || w.state.complete) && !w.rewrite {
		return w.state.generation, nil
	}
	for name, data := range files {
		if err := replaceFile(w.objectPath(name), data); err != nil {
			return w.state.generation, fmt.Errorf("writing %s: %w", name, err)
		}
		delete(w.superfluous, name)
		delete(w.replaced, name)
	}
	replaced := w.filesReplacedBy(b)
	if err := w.write(b); err != nil {
		return w.state.generation, fmt.Errorf("writing the index: %w", err)
	}
	w.sweep(replaced, b.Complete)
	return w.state.generation, nil
}

// difference reduces the change to what differs from the state.
func (w *Writer) difference(c Change) (batch, map[string][]byte, error) {
	b := batch{Generation: w.state.generation + 1, Complete: c.Complete}
	set, files := map[Key]hash{}, map[string][]byte{}
	content := map[Key][]byte{}
	for _, o := range c.Set {
		data, err := encode(o)
		if err != nil {
			return b, nil, err
		}
		set[o.Key()], content[o.Key()] = hashOf(data), data
	}
	for key, h := range set {
		if old, ok := w.state.objects[key]; ok && old == h {
			continue
		}
		b.Set = append(b.Set, entry{Key: key, Hash: h})
		files[fileName(key, h)] = content[key]
	}
	gone := slices.Values(c.Delete)
	if c.Whole {
		gone = maps.Keys(w.state.objects)
	}
	for key := range gone {
		_, stays := set[key]
		if _, known := w.state.objects[key]; known && !stays {
			b.Delete = append(b.Delete, key)
		}
	}
	slices.SortFunc(b.Set, compareEntries)
	slices.SortFunc(b.Delete, compareKeys)
	b.Delete = slices.Compact(b.Delete)
	return b, files, nil
}

// write appends the batch, or writes the index anew when it has grown long.
func (w *Writer) write(b batch) error {
	if w.index == nil || w.rewrite || w.long(b) {
		return w.compact(b)
	}
	line, err := b.line()
	if err != nil {
		return err
	}
	size, err := w.index.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := w.index.Write(line); err != nil {
		// A part of a line may be there. It is not committed, but nothing may
		// follow it.
		w.rewrite = w.index.Truncate(size) != nil
		return err
	}
	w.state.apply(b)
	return nil
}

// long tells when a reader that starts would have to read far more than there is.
func (w *Writer) long(b batch) bool {
	const few = 64
	return w.state.complete && b.Complete && w.state.entries+b.size() > max(few, 2*len(w.state.objects))
}

// compact replaces the index by one that holds what is committed and b: in one
// line, or in two when b does not complete what is.
func (w *Writer) compact(b batch) error {
	next := newState()
	maps.Copy(next.objects, w.state.objects)
	next.sum = w.state.sum
	next.apply(b)
	lines := []batch{next.batch()}
	if w.state.complete && !b.Complete {
		lines = []batch{w.state.batch(), b}
	}
	if err := w.replaceIndex(lines); err != nil {
		return err
	}
	next.entries = lines[0].size() + b.size()*(len(lines)-1)
	w.state = next
	return nil
}

// replaceIndex writes an index beside and renames it.
func (w *Writer) replaceIndex(lines []batch) error {
	lines[0].Format = format
	var data []byte
	for _, b := range lines {
		line, err := b.line()
		if err != nil {
			return err
		}
		data = append(data, line...)
	}
	path := filepath.Join(w.dir, indexName)
	if err := replaceFile(path, data); err != nil {
		return err
	}
	if w.index != nil {
		_ = w.index.Close()
	}
	// The commit is done. If the new index cannot be opened, the next commit
	// makes another one.
	w.index, _ = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, fileMode)
	w.rewrite = false
	return nil
}

// filesReplacedBy names the files that nothing refers to once b is committed.
func (w *Writer) filesReplacedBy(b batch) []string {
	var names []string
	for _, e := range b.Set {
		if old, ok := w.state.objects[e.Key]; ok {
			names = append(names, fileName(e.Key, old))
		}
	}
	for _, k := range b.Delete {
		names = append(names, fileName(k, w.state.objects[k]))
	}
	return names
}

// sweep removes what the complete commit before this one has made superfluous,
// and keeps what this one has for the next.
func (w *Writer) sweep(replaced []string, complete bool) {
	for _, name := range replaced {
		w.replaced[name] = struct{}{}
	}
	if !complete {
		return
	}
	for name := range w.superfluous {
		// What cannot be removed now is found again by the next NewWriter.
		_ = os.Remove(w.objectPath(name))
	}
	w.superfluous, w.replaced = w.replaced, map[string]struct{}{}
}

func (w *Writer) objectPath(name string) string {
	return filepath.Join(w.dir, objectsDir, name)
}

func compareEntries(a, b entry) int { return compareKeys(a.Key, b.Key) }

func compareKeys(a, b Key) int {
	if a.Kind != b.Kind {
		return strings.Compare(a.Kind, b.Kind)
	}
	return strings.Compare(a.Name, b.Name)
}

// load reads what is on disk.
func (w *Writer) load() error {
	data, err := readBounded(filepath.Join(w.dir, indexName), maxIndexBytes)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return err
	}
	log := newReplay()
	taken, damage := parseLog(data, true, func(b batch) { log.take(b) })
	w.state = log.state
	w.rewrite = damage != nil || taken != len(data) || len(log.staged) > 0 || log.generation == 0
	w.dropDamaged()
	if err := w.findSuperfluous(); err != nil {
		return err
	}
	if missing {
		return nil
	}
	w.index, err = os.OpenFile(filepath.Join(w.dir, indexName), os.O_WRONLY|os.O_APPEND, fileMode)
	return err
}

// dropDamaged forgets objects whose files are not what the index says, so that
// the next commit that mentions them writes them again.
func (w *Writer) dropDamaged() {
	for key, h := range w.state.objects {
		data, err := readBounded(w.objectPath(fileName(key, h)), maxObjectBytes)
		if err == nil && hashOf(data) == h {
			continue
		}
		delete(w.state.objects, key)
		w.state.sum.remove(h)
		w.rewrite = true
	}
}

// findSuperfluous finds the files that an earlier writer has left behind, and
// removes a new index that it did not come to rename.
func (w *Writer) findSuperfluous() error {
	halves, _ := filepath.Glob(filepath.Join(w.dir, newPrefix+"*"))
	for _, path := range halves {
		_ = os.Remove(path)
	}
	files, err := os.ReadDir(filepath.Join(w.dir, objectsDir))
	if err != nil {
		return err
	}
	for _, f := range files {
		w.superfluous[f.Name()] = struct{}{}
	}
	for key, h := range w.state.objects {
		delete(w.superfluous, fileName(key, h))
	}
	return nil
}
