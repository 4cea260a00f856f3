// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"maps"
	"slices"

	"gateway.jkaninda.dev/goma/internal/config"
)

// Documents are the files of a remote tree. A file that cannot be parsed keeps its
// last good content; one that is gone goes.
type Documents struct {
	parse Parser
	files map[string]*parsed
}

// parsed is one file.
type parsed struct {
	text     []byte
	good     []byte // nil when it never was
	bundle   *config.Bundle
	problems []config.Problem
}

// NewDocuments has no file yet.
func NewDocuments(parse Parser) *Documents {
	return &Documents{parse: parse, files: map[string]*parsed{}}
}

// Set replaces the files by those of a new tree, and gives the objects of all of
// them in the order of their paths. Files with equal text are not parsed again.
func (d *Documents) Set(files map[string][]byte) (*config.Bundle, []config.Problem) {
	next := make(map[string]*parsed, len(files))
	for path, text := range files {
		next[path] = d.load(path, text, d.files[path])
	}
	d.files = next
	b := &config.Bundle{Routes: []*config.Route{}}
	var problems []config.Problem
	for _, path := range slices.Sorted(maps.Keys(next)) {
		f := next[path]
		problems = append(problems, f.problems...)
		if f.bundle != nil {
			b.Routes = append(b.Routes, f.bundle.Routes...)
			b.Middlewares = append(b.Middlewares, f.bundle.Middlewares...)
		}
	}
	return b, problems
}

func (d *Documents) load(path string, text []byte, known *parsed) *parsed {
	if known != nil && bytes.Equal(known.text, text) {
		return known
	}
	bundle, problems, err := d.parse(path, text)
	if err == nil {
		return &parsed{text: text, good: text, bundle: bundle, problems: problems}
	}
	f := &parsed{text: text}
	if known != nil {
		f.bundle, f.good = known.bundle, known.good
	}
	f.problems = []config.Problem{unreadable(path, err, f.bundle != nil)}
	return f
}

// Good gives the last good text of each file that has one, and whether that is the
// newest of all of them.
func (d *Documents) Good() (files map[string][]byte, newest bool) {
	files, newest = make(map[string][]byte, len(d.files)), true
	for path, f := range d.files {
		if f.good != nil {
			files[path] = f.good
		}
		newest = newest && bytes.Equal(f.good, f.text)
	}
	return files, newest
}

// IsDocument tells by its name whether a file is one.
func IsDocument(name string) bool { return document(name) }
