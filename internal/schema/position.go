// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"strconv"
	"strings"
	"sync"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"gateway.jkaninda.dev/goma/internal/config"
)

// source is the text of one document. Where its fields stand is found out only
// when it is asked for, because most documents have no problem.
type source struct {
	file string
	// line is the line of the file at which text begins.
	line int
	text []byte
	// json tells that text is JSON, which is YAML only nearly.
	json bool

	once sync.Once
	root ast.Node
}

// position finds the deepest part of a path, below another one, that is written.
func (s *source) position(within, field string) config.Position {
	s.once.Do(func() {
		file, err := parser.ParseBytes(s.text, 0)
		if err == nil && len(file.Docs) > 0 {
			s.root = file.Docs[0].Body
		}
	})
	at := config.Position{File: s.file, Line: s.line}
	if s.root == nil { // text that only the other parser reads
		return at
	}
	path := strings.TrimPrefix(within+"."+field, ".")
	place := first(s.root)
	for node := s.root; path != ""; {
		next, where, rest := step(node, path)
		if next == nil {
			break
		}
		node, place, path = next, where, strings.TrimPrefix(rest, ".")
	}
	if place != nil {
		at.Line, at.Column = s.line+place.Line-1, place.Column
	}
	return at
}

// step goes one key or index down; nil when the path leads elsewhere.
func step(node ast.Node, path string) (next ast.Node, where *token.Position, rest string) {
	switch node := node.(type) {
	case *ast.AnchorNode:
		return step(node.Value, path)
	case *ast.TagNode:
		return step(node.Value, path)
	case *ast.MappingValueNode:
		return stepKey([]*ast.MappingValueNode{node}, path)
	case *ast.MappingNode:
		return stepKey(node.Values, path)
	case *ast.SequenceNode:
		return stepIndex(node, path)
	}
	return nil, nil, ""
}

// stepKey prefers the longest key, because keys such as labels hold dots.
func stepKey(values []*ast.MappingValueNode, path string) (next ast.Node, where *token.Position, rest string) {
	longest := -1
	for _, value := range values {
		key := keyOf(value)
		for _, form := range []string{key, "[" + key + "]"} {
			after, ok := strings.CutPrefix(path, form)
			if ok && len(form) > longest && (after == "" || after[0] == '.' || after[0] == '[') {
				longest = len(form)
				next, where, rest = value.Value, value.Key.GetToken().Position, after
			}
		}
	}
	return next, where, rest
}

func keyOf(value *ast.MappingValueNode) string {
	if text, ok := value.Key.(*ast.StringNode); ok {
		return text.Value
	}
	return value.Key.GetToken().Value
}

func stepIndex(node *ast.SequenceNode, path string) (next ast.Node, where *token.Position, rest string) {
	digits, rest, ok := strings.Cut(strings.TrimPrefix(path, "["), "]")
	index, err := strconv.Atoi(digits)
	if !ok || err != nil || index < 0 || index >= len(node.Values) {
		return nil, nil, ""
	}
	next = node.Values[index]
	return next, first(next), rest
}

// first is where a value begins.
func first(node ast.Node) *token.Position {
	switch node := node.(type) {
	case *ast.MappingNode:
		if len(node.Values) > 0 {
			return node.Values[0].Key.GetToken().Position
		}
	case *ast.MappingValueNode:
		return node.Key.GetToken().Position
	}
	if t := node.GetToken(); t != nil {
		return t.Position
	}
	return nil
}
