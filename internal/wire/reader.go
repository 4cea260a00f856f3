// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"gateway.jkaninda.dev/goma/internal/config"
)

// View is a Bundle as of one complete commit. It does not change; the next
// commit makes another one, in which unchanged objects have the same pointers.
type View struct {
	// Generation counts the commits of the writer.
	Generation uint64
	// Checksum is Checksum of what was committed, so it tells whether this is
	// the newest there is, also when an object could not be read.
	Checksum string
	// Bundle holds the routes by priority and age, the middlewares by name.
	Bundle *config.Bundle
	// Problems are about objects that could not be read. Of such an object the
	// last good version, if any, is still in the Bundle.
	Problems []config.Problem
}

// Reader reads a directory. It is not safe for concurrent use.
type Reader struct {
	dir   string
	parse Parser

	file   *os.File
	offset int64
	log    *replay

	objects map[Key]*loaded
	// shown are the objects of the view.
	shown map[Key]Object
	// dirty are the keys whose objects may differ from what the log says.
	dirty map[Key]struct{}
	// troubled are the keys whose objects have problems.
	troubled map[Key]struct{}
	// damage is what keeps the rest of the index from being read.
	damage error
	view   *View
}

// NewReader reads from dir, which need not exist yet.
func NewReader(dir string) *Reader {
	return &Reader{
		dir: dir, parse: parseDirectly, log: newReplay(),
		objects: map[Key]*loaded{}, shown: map[Key]Object{}, dirty: map[Key]struct{}{}, troubled: map[Key]struct{}{},
	}
}

// WithParser makes the reader decode objects with p, and returns the reader.
// It is for before the first Read. A nil p changes nothing.
func (r *Reader) WithParser(p Parser) *Reader {
	if p != nil {
		r.parse = p
	}
	return r
}

// Close releases the index.
func (r *Reader) Close() error {
	if r.file == nil {
		return nil
	}
	f := r.file
	r.file = nil
	return f.Close()
}

// Index is the path of the file to watch: it changes with every commit, by
// growing or by being replaced.
func (r *Reader) Index() string { return filepath.Join(r.dir, indexName) }

// Read gives the newest complete view, and whether it is another one than the
// Read before gave. The view is nil before the first complete commit. With an
// error the view is the one of before, which goes on being good. Damage to a part
// of what is there is not an error but a Problem of the view.
func (r *Reader) Read() (*View, bool, error) {
	// A writer that is busy may remove a file between the reading of the index
	// and that of the file. Then the index already says more.
	const attempts = 8
	for n := 1; ; n++ {
		if err := r.follow(); err != nil {
			return r.view, false, fmt.Errorf("reading the bundle: %w", err)
		}
		if r.log.generation == 0 {
			return nil, false, r.damage
		}
		if r.load(n == attempts) {
			break
		}
	}
	if r.quiet() {
		return r.view, false, nil
	}
	view := r.nextView()
	if !r.differs(view) {
		return r.view, false, nil
	}
	r.view = view
	return view, true, nil
}

// quiet tells, at no cost, that nothing has happened since the last view.
func (r *Reader) quiet() bool {
	return r.view != nil && len(r.dirty) == 0 && r.damage == nil && r.view.Generation == r.log.generation
}

// follow takes what the index says since the last time.
func (r *Reader) follow() error {
	replaced, err := r.replaced()
	if err != nil {
		return err
	}
	if replaced {
		if err := r.restart(); err != nil {
			return err
		}
	}
	if r.file == nil {
		return nil
	}
	return r.tail()
}

// replaced tells whether the index is another file than the one at hand. That
// one is kept open, so its number cannot have gone to a new file.
func (r *Reader) replaced() (bool, error) {
	now, err := os.Stat(r.Index())
	if errors.Is(err, fs.ErrNotExist) && r.file == nil {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if r.file == nil {
		return true, nil
	}
	then, err := r.file.Stat()
	if err != nil {
		return false, err
	}
	return !os.SameFile(now, then) || now.Size() < r.offset, nil
}

// restart begins with a new index. What is loaded stays, so that objects that
// are the same keep their pointers.
func (r *Reader) restart() error {
	f, err := os.Open(r.Index())
	if err != nil {
		return err
	}
	_ = r.Close()
	r.file, r.offset = f, 0
	return nil
}

// tail reads the index from where it stopped.
func (r *Reader) tail() error {
	data, err := io.ReadAll(io.NewSectionReader(r.file, r.offset, maxIndexBytes))
	if err != nil {
		return err
	}
	fresh := r.offset == 0
	log := r.log
	if fresh {
		log = newReplay()
	}
	var done []batch
	taken, damage := parseLog(data, fresh, func(b batch) { done = append(done, log.take(b)...) })
	r.damage = nil
	if damage != nil {
		r.damage = fmt.Errorf("reading %s: %w", r.Index(), damage)
	}
	if fresh && log.generation == 0 && r.log.generation != 0 {
		// The new index holds nothing complete: keep to what there is.
		return nil
	}
	r.offset += int64(taken)
	if fresh {
		r.markGone(log)
	}
	r.log = log
	for _, b := range done {
		r.mark(b)
	}
	return nil
}

// mark notes what a batch has changed.
func (r *Reader) mark(b batch) {
	for _, e := range b.Set {
		r.dirty[e.Key] = struct{}{}
	}
	for _, k := range b.Delete {
		r.dirty[k] = struct{}{}
	}
}

// markGone notes what is loaded and no longer in the log; what is new in
// it is marked by its batches.
func (r *Reader) markGone(log *replay) {
	for key := range r.objects {
		if _, ok := log.objects[key]; !ok {
			r.dirty[key] = struct{}{}
		}
	}
}
