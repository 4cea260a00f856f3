// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// places are where the fields of one object, or of the settings, are written. They
// are packed, because an object has many fields and hardly ever a problem: what a
// path has in common with the one before it is left out, and so is the file.
type places string

// placer packs places.
type placer struct {
	packed []byte
	path   string
	line   int
}

// note adds the place of a field.
func (p *placer) note(path string, at Position) {
	if p == nil {
		return
	}
	shared := 0
	for shared < min(len(path), len(p.path)) && path[shared] == p.path[shared] {
		shared++
	}
	p.packed = binary.AppendUvarint(p.packed, uint64(shared))
	p.packed = binary.AppendUvarint(p.packed, uint64(len(path)-shared))
	p.packed = append(p.packed, path[shared:]...)
	p.packed = binary.AppendVarint(p.packed, int64(at.Line-p.line))
	p.packed = binary.AppendUvarint(p.packed, uint64(at.Column))
	p.path, p.line = path, at.Line
}

func (p *placer) places() places { return places(p.packed) }

// find gives the place of a field, or of the nearest of those that hold it. It is
// not found when not even the outermost is there.
func (p places) find(file, field string) (at Position, ok bool) {
	var path []byte
	line, best := 0, -1
	for rest := []byte(p); len(rest) > 0; {
		var shared, more, column uint64
		shared, rest = uvarint(rest)
		more, rest = uvarint(rest)
		path = append(path[:shared], rest[:more]...)
		rest = rest[more:]
		down, n := binary.Varint(rest)
		column, rest = uvarint(rest[n:])
		line += int(down)
		if len(path) > best && holds(path, field) {
			best, at = len(path), Position{File: file, Line: line, Column: int(column)}
		}
	}
	return at, best >= 0
}

func uvarint(b []byte) (uint64, []byte) {
	v, n := binary.Uvarint(b)
	return v, b[n:]
}

// holds tells whether a path is the field, or leads to it.
func holds(path []byte, field string) bool {
	rest, ok := strings.CutPrefix(field, string(path))
	return ok && (rest == "" || len(path) == 0 || rest[0] == '.' || rest[0] == '[')
}

// Place gives where a field of the object is written, or what should hold it.
func (m Meta) Place(field string) Position {
	if at, ok := m.places.find(m.Position.File, field); ok {
		return at
	}
	return m.Position
}

// Unplaced gives the Meta of an object that may be written anywhere.
func (m Meta) Unplaced() Meta {
	m.Position, m.places = Position{}, ""
	return m
}

// Place gives where a setting is written, or what should hold it. It is the zero
// value for a File that was not loaded.
func (f *File) Place(field string) Position {
	at, _ := f.places.find(f.name, field)
	return at
}

// Place gives where a setting is written; see File.Place.
func (c *Config) Place(field string) Position {
	if c.file == nil {
		return Position{}
	}
	return c.file.Place(field)
}

// placeOf is where a member of a table is pointed at: its value, where that stands
// on a line with its key, and else the key.
func placeOf(f member) Position {
	if f.value.kind == list || f.value.kind == table || f.value.kind == null || f.value.at.Line != f.at.Line {
		return f.at
	}
	return f.value.at
}

// noteBelow notes what is inside of a value that is not decoded here.
func (p *placer) noteBelow(n *node, path string) {
	if p == nil {
		return
	}
	for i, item := range n.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		p.note(at, item.at)
		p.noteBelow(item, at)
	}
	for _, f := range n.fields {
		at := join(path, f.key)
		p.note(at, placeOf(f))
		p.noteBelow(f.value, at)
	}
}
