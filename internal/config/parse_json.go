// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"unicode/utf8"
)

// parseJSON reads one JSON value. It is what the sidecar writes, and far quicker
// than YAML; it gives the same nodes.
func parseJSON(file string, data []byte) (*node, error) {
	r := &jsonReader{file: file, data: data, d: json.NewDecoder(bytes.NewReader(data))}
	r.d.UseNumber()
	for i, c := range data {
		if c == '\n' {
			r.lines = append(r.lines, i)
		}
	}
	root, err := r.value(0)
	if err != nil {
		return nil, err
	}
	end := r.next()
	if _, err := r.d.Token(); !errors.Is(err, io.EOF) {
		return nil, &syntaxError{end, "more follows the end of the JSON value"}
	}
	return root, nil
}

type jsonReader struct {
	file   string
	data   []byte
	d      *json.Decoder
	lines  []int // offsets of line ends
	budget budget
}

// next is where the token begins that is read next.
func (r *jsonReader) next() Position {
	offset := int(r.d.InputOffset())
	for offset < len(r.data) && strings.IndexByte(" \t\r\n,:", r.data[offset]) >= 0 {
		offset++
	}
	return r.at(offset)
}

// at counts lines and the characters before an offset.
func (r *jsonReader) at(offset int) Position {
	offset = min(offset, len(r.data))
	line := sort.SearchInts(r.lines, offset)
	start := 0
	if line > 0 {
		start = r.lines[line-1] + 1
	}
	return Position{File: r.file, Line: line + 1, Column: utf8.RuneCount(r.data[start:offset]) + 1}
}

// token gives the next token and where it begins.
func (r *jsonReader) token() (json.Token, Position, error) {
	at := r.next()
	t, err := r.d.Token()
	if err == nil {
		return t, at, nil
	}
	message := err.Error()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		message = "the JSON text ends in the middle"
	}
	return nil, at, &syntaxError{at, message}
}

func (r *jsonReader) value(depth int) (*node, error) {
	t, at, err := r.token()
	if err != nil {
		return nil, err
	}
	out := &node{at: at}
	if err := r.budget.spend(depth); err != nil {
		return nil, &syntaxError{out.at, err.Error()}
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '[' {
			return out, r.list(out, depth)
		}
		return out, r.table(out, depth)
	case string:
		out.kind, out.text = text, t
	case json.Number:
		out.kind, out.text = number, t.String()
	case bool:
		out.kind, out.text = boolean, fmt.Sprint(t)
	}
	return out, nil
}

func (r *jsonReader) list(out *node, depth int) error {
	out.kind = list
	for r.d.More() {
		item, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		out.items = append(out.items, item)
	}
	_, _, err := r.token()
	return err
}

func (r *jsonReader) table(out *node, depth int) error {
	out.kind = table
	for r.d.More() {
		t, at, err := r.token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return &syntaxError{at, "a key must be text"}
		}
		value, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		if err := add(out, key, at, value); err != nil {
			return err
		}
	}
	_, _, err := r.token()
	return err
}
