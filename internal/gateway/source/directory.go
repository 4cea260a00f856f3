// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// DirectoryOptions say what a Directory reads. All fields but Watch are required.
type DirectoryOptions struct {
	Name string
	Kind config.Source
	Dir  string
	// Field is the setting that names the directory, for messages.
	Field string
	// Watch reads again when something changes. Without it the directory is read
	// at start, until that succeeds, and on Refresh.
	Watch bool
	Parse Parser
}

// Directory reads the .yaml, .yml and .json files of a directory and of those
// below it, but for hidden ones. The Bundle holds the objects in the order of the
// files' paths.
//
// A file that cannot be read or parsed keeps its last good content; one that is
// removed goes. A directory that vanishes, as a broken mount does, keeps
// everything; one that is emptied is an empty Bundle.
type Directory struct {
	o       DirectoryOptions
	refresh Refreshes

	files map[string]*file
	// last is what was published.
	last      Update
	published bool
}

var (
	_ Source    = (*Directory)(nil)
	_ Refresher = (*Directory)(nil)
)

// file is one document.
type file struct {
	identity Identity
	settled  bool
	hash     [sha256.Size]byte
	// bundle is the last good content, good its hash.
	bundle   *config.Bundle
	good     [sha256.Size]byte
	problems []config.Problem
}

// NewDirectory makes the source; nothing is read before Run.
func NewDirectory(o DirectoryOptions) *Directory {
	return &Directory{o: o, refresh: make(Refreshes), files: map[string]*file{}}
}

// Name implements Source.
func (d *Directory) Name() string { return d.o.Name }

// Kind implements Source.
func (d *Directory) Kind() config.Source { return d.o.Kind }

// Refresh implements Refresher. The error is that of the directory itself; what
// is wrong with a file is a Problem.
func (d *Directory) Refresh(ctx context.Context) error { return d.refresh.Ask(ctx) }

// Run implements Source.
func (d *Directory) Run(ctx context.Context, publish func(Update)) error {
	w := NewWatcher()
	defer w.Close()
	_ = d.look(w, publish)
	for {
		changed := w.Changed()
		if !d.o.Watch && d.last.Bundle != nil {
			changed = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			_ = d.look(w, publish)
		case done := <-d.refresh:
			done <- d.look(w, publish)
		}
	}
}

// Read reads the directory once, for whoever wants to check it. It is not for a
// source that runs.
func (d *Directory) Read() (Update, error) {
	_, err := d.scan()
	var u Update
	d.publish(func(now Update) { u = now }, err)
	return u, err
}

// look reads what has changed and publishes it. Watches come before reading, so
// that a change in between is not lost.
func (d *Directory) look(w *Watcher, publish func(Update)) error {
	w.Watch([]string{d.o.Dir})
	for {
		directories, err := d.scan()
		d.publish(publish, err)
		if err != nil || !w.Watch(append(directories, d.o.Dir)) {
			return err
		}
	}
}

// scan brings files to what is on disk, and gives the directories it has read.
func (d *Directory) scan() (directories []string, err error) {
	found := walk{files: map[string]os.FileInfo{}, seen: map[Identity]bool{}}
	if err := found.directory(d.o.Dir, 0); err != nil {
		return nil, err
	}
	for path := range d.files {
		if _, ok := found.files[path]; !ok {
			delete(d.files, path)
		}
	}
	for path, info := range found.files {
		d.files[path] = d.load(path, info, d.files[path])
	}
	return found.directories, nil
}

// walk collects the documents of a tree.
type walk struct {
	files       map[string]os.FileInfo
	directories []string
	// seen keeps a link to a directory above from leading round in circles.
	seen map[Identity]bool
}

const maxDepth = 32

func (w *walk) directory(dir string, depth int) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	id := identify(info)
	id.size, id.modified = 0, time.Time{}
	if w.seen[id] || depth > maxDepth {
		return nil
	}
	w.seen[id] = true
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	w.directories = append(w.directories, dir)
	for _, entry := range list {
		path := filepath.Join(dir, entry.Name())
		info, err := os.Stat(path)
		switch {
		case err != nil:
			// It has just gone, or is a link to nothing.
			continue
		case !info.IsDir():
			if document(entry.Name()) && info.Mode().IsRegular() {
				w.files[path] = info
			}
		case !strings.HasPrefix(entry.Name(), "."):
			if err := w.directory(path, depth+1); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

func document(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// load reads a file if it differs from what is known of it.
func (d *Directory) load(path string, info os.FileInfo, known *file) *file {
	id := identify(info)
	if known != nil && known.settled && known.identity == id {
		return known
	}
	now := time.Now()
	next := &file{identity: id, settled: id.Settled(now)}
	data, err := readFile(path)
	if err != nil {
		// Rights may change without a trace in the identity.
		next.settled = false
	} else {
		next.hash = sha256.Sum256(data)
		if known != nil && known.hash == next.hash {
			known.identity, known.settled = next.identity, next.settled
			return known
		}
		next.bundle, next.problems, err = d.o.Parse(path, data)
	}
	if err == nil {
		next.good = next.hash
		return next
	}
	if next.bundle = nil; known != nil {
		next.bundle, next.good = known.bundle, known.good
	}
	next.problems = append(next.problems, unreadable(path, err, next.bundle != nil))
	return next
}

// maxFileBytes is above what any document should be; the parser has its own limit.
const maxFileBytes = 64 << 20

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(data) > maxFileBytes {
		err = fmt.Errorf("the file is larger than %d MiB", maxFileBytes>>20)
	}
	return data, err
}

func unreadable(path string, err error, kept bool) config.Problem {
	message := err.Error()
	if kept {
		message += "; the last good version of the file stays in use"
	}
	return config.Problem{
		Object:   config.ObjectRef{Kind: "File", Name: path},
		Reason:   config.ReasonUnreadable,
		Message:  message,
		Position: config.Position{File: path},
	}
}

// publish tells of what is known, if it is new.
func (d *Directory) publish(publish func(Update), failure error) {
	next := d.assemble()
	if failure != nil {
		next.Bundle, next.Checksum = d.last.Bundle, d.last.Checksum
		next.Problems = append(next.Problems, d.missing(failure))
	}
	if d.published && next.Checksum == d.last.Checksum && (next.Bundle == nil) == (d.last.Bundle == nil) &&
		slices.Equal(next.Problems, d.last.Problems) {
		return
	}
	d.last, d.published = next, true
	publish(next)
}

func (d *Directory) missing(err error) config.Problem {
	message := fmt.Sprintf("the directory cannot be read: %v; make it, or correct the setting", err)
	if d.last.Bundle != nil {
		message = fmt.Sprintf("the directory cannot be read any more: %v; its last good content stays in use", err)
	}
	return config.Problem{
		Object:  config.ObjectRef{Kind: "File", Name: d.o.Dir},
		Field:   d.o.Field,
		Reason:  config.ReasonUnreadable,
		Message: message,
	}
}

// assemble joins the files in the order of their paths.
func (d *Directory) assemble() Update {
	paths := make([]string, 0, len(d.files))
	for path := range d.files {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	u := Update{Bundle: &config.Bundle{}}
	sum := sha256.New()
	for _, path := range paths {
		f := d.files[path]
		u.Problems = append(u.Problems, f.problems...)
		if f.bundle == nil {
			continue
		}
		fmt.Fprintf(sum, "%d:%s%x", len(path), path, f.good)
		u.Bundle.Routes = append(u.Bundle.Routes, f.bundle.Routes...)
		u.Bundle.Middlewares = append(u.Bundle.Middlewares, f.bundle.Middlewares...)
	}
	u.Checksum = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	u.Bundle.Checksum = u.Checksum
	return u
}
