// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gitsource

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
)

// The types of entries in a tree.
const (
	modeTree      = "40000"
	modeLink      = "120000"
	modeSubmodule = "160000"
)

// Limits of a walk. S4
const (
	maxLinks     = 40
	maxTreeDepth = 32
	maxDocuments = 100_000
	maxTextBytes = 64 << 20
)

// entry is a line of a tree.
type entry struct {
	name, mode string
	id         oid
}

// walk finds the documents of a commit. Nothing is ever checked out: symbolic links
// are followed inside the tree, and what leads out of it leads nowhere.
type walk struct {
	objects map[oid]object
	root    oid
	// missing are blobs that have to be fetched before the walk can be finished.
	missing map[oid]bool

	files    map[string][]byte
	problems []config.Problem
	bytes    int
}

// errMissing is about an object that has not been fetched.
var errMissing = errors.New("the server has left out an object")

// documents gives the documents below a folder, or the one document that the path
// names, by their paths in the repository.
func documents(objects map[oid]object, commit oid, folder string) (*walk, error) {
	w := &walk{objects: objects, missing: map[oid]bool{}, files: map[string][]byte{}}
	var err error
	if w.root, err = w.treeOf(commit); err != nil {
		return nil, err
	}
	links := 0
	e, at, err := w.lookup(folder, &links)
	switch {
	case errors.Is(err, errMissing):
		return w, nil
	case err != nil:
		return nil, err
	}
	if e.mode != modeTree {
		err = w.file(at, e)
	} else {
		err = w.directory(at, e.id, nil)
	}
	if err != nil && !errors.Is(err, errMissing) {
		return nil, err
	}
	return w, nil
}

// treeOf gives the tree of a commit, or of what a tag points to.
func (w *walk) treeOf(id oid) (oid, error) {
	for range 5 {
		o, ok := w.objects[id]
		if !ok {
			return oid{}, errMissing
		}
		line, _, _ := bytes.Cut(o.data, []byte("\n"))
		kind, hex, _ := strings.Cut(string(line), " ")
		next, ok := parseOID(hex)
		switch {
		case !ok || o.kind != kindCommit && o.kind != kindTag:
			return oid{}, errors.New("the name leads to something that is no commit")
		case kind == "tree":
			return next, nil
		}
		id = next
	}
	return oid{}, errors.New("the tag leads to too many others")
}

// entries reads a tree.
func (w *walk) entries(id oid) ([]entry, error) {
	o, ok := w.objects[id]
	if !ok {
		return nil, errMissing
	}
	if o.kind != kindTree {
		return nil, errBadPack
	}
	var list []entry
	for data := o.data; len(data) > 0; {
		head, rest, ok := bytes.Cut(data, []byte{0})
		mode, name, ok2 := bytes.Cut(head, []byte(" "))
		if !ok || !ok2 || len(rest) < len(oid{}) || len(name) == 0 || bytes.ContainsRune(name, '/') {
			return nil, errBadPack
		}
		e := entry{name: string(name), mode: strings.TrimLeft(string(mode), "0")}
		copy(e.id[:], rest)
		list, data = append(list, e), rest[len(e.id):]
	}
	return list, nil
}

func (w *walk) child(tree oid, name string) (entry, bool, error) {
	list, err := w.entries(tree)
	for _, e := range list {
		if e.name == name {
			return e, true, nil
		}
	}
	return entry{}, false, err
}

// lookup follows a path from the root, through links, and gives what is there and
// its path without links.
func (w *walk) lookup(name string, links *int) (entry, string, error) {
	trees, at := []oid{w.root}, []string{}
	rest := strings.Split(strings.Trim(name, "/"), "/")
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(at) == 0 {
				return entry{}, "", fmt.Errorf("%s leads out of the repository", name)
			}
			trees, at = trees[:len(trees)-1], at[:len(at)-1]
			continue
		}
		e, ok, err := w.child(trees[len(trees)-1], part)
		if err != nil {
			return entry{}, "", err
		}
		if !ok {
			return entry{}, "", fmt.Errorf("the repository has no %s", path.Join(append(at, part)...))
		}
		switch e.mode {
		case modeLink:
			if *links++; *links > maxLinks {
				return entry{}, "", fmt.Errorf("%s leads through too many symbolic links", name)
			}
			target, err := w.blob(e.id)
			if err != nil {
				return entry{}, "", err
			}
			if len(target) > 4096 || bytes.HasPrefix(target, []byte("/")) {
				return entry{}, "", fmt.Errorf("%s is a symbolic link that leads out of the repository", path.Join(append(at, part)...))
			}
			rest = append(strings.Split(string(target), "/"), rest...)
		case modeTree:
			trees, at = append(trees, e.id), append(at, part)
		default:
			if len(rest) > 0 {
				return entry{}, "", fmt.Errorf("the repository has no folder %s", path.Join(append(at, part)...))
			}
			return e, path.Join(append(at, part)...), nil
		}
	}
	return entry{mode: modeTree, id: trees[len(trees)-1]}, path.Join(at...), nil
}

// blob gives the content of a file, or notes that it has to be fetched.
func (w *walk) blob(id oid) ([]byte, error) {
	o, ok := w.objects[id]
	if !ok {
		w.missing[id] = true
		return nil, errMissing
	}
	if o.kind != kindBlob {
		return nil, errBadPack
	}
	return o.data, nil
}

// directory reads the documents of a folder and of those below it, but for hidden
// ones. Above are the folders on the way, so that a link to one of them is not
// followed in circles.
func (w *walk) directory(at string, id oid, above []oid) error {
	if len(above) >= maxTreeDepth {
		return nil
	}
	for _, a := range above {
		if a == id {
			return nil
		}
	}
	list, err := w.entries(id)
	if err != nil {
		return err
	}
	above = append(above[:len(above):len(above)], id)
	for _, e := range list {
		name := path.Join(at, e.name)
		if e.mode == modeLink {
			if e, err = w.follow(name); err != nil {
				continue
			}
		}
		switch {
		case e.mode == modeSubmodule:
		case e.mode == modeTree:
			if !strings.HasPrefix(path.Base(name), ".") {
				err = w.directory(name, e.id, above)
			}
		case source.IsDocument(name):
			err = w.file(name, e)
		}
		if err != nil && !errors.Is(err, errMissing) {
			return err
		}
	}
	return nil
}

// follow gives what a symbolic link leads to. One that leads nowhere is reported
// when it has the name of a document.
func (w *walk) follow(name string) (entry, error) {
	links := 0
	e, _, err := w.lookup(name, &links)
	if err != nil && !errors.Is(err, errMissing) && source.IsDocument(name) {
		w.problems = append(w.problems, config.Problem{
			Object: config.ObjectRef{Kind: "File", Name: name}, Reason: config.ReasonUnreadable,
			Message:  fmt.Sprintf("%v; the file is not read; put it into the repository itself", err),
			Position: config.Position{File: name},
		})
	}
	return e, err
}

// file takes a document.
func (w *walk) file(name string, e entry) error {
	if e.mode == modeSubmodule {
		return fmt.Errorf("%s is a submodule; only the repository itself is read", name)
	}
	text, err := w.blob(e.id)
	if err != nil {
		return err
	}
	w.files[name] = text
	w.bytes += len(text)
	if len(w.files) > maxDocuments || w.bytes > maxTextBytes {
		return fmt.Errorf("there are more than %d documents, or they have more than %d MiB; name a folder in gateway.providers.git.path",
			maxDocuments, maxTextBytes>>20)
	}
	return nil
}
