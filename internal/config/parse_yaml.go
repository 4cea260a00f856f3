// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// parseYAML reads one YAML document.
func parseYAML(file string, data []byte) (root *node, err error) {
	defer func() {
		// The parser is not ours; a document must not end the process.
		if p := recover(); p != nil {
			root, err = nil, &syntaxError{Position{File: file}, "the YAML parser gave up on it"}
		}
	}()
	if err := shallow(file, data); err != nil {
		return nil, err
	}
	parsed, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, yamlError(file, err)
	}
	var bodies []ast.Node
	for _, doc := range parsed.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.NullType && doc.Body.Type() != ast.CommentType {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 0:
		return &node{kind: null, at: Position{File: file, Line: 1, Column: 1}}, nil
	case 1:
		c := &yamlReader{file: file, anchors: map[string]ast.Node{}}
		return c.read(bodies[0], 0)
	}
	at := position(file, bodies[1])
	return nil, &syntaxError{at, "a second document begins here; one file holds one document"}
}

func yamlError(file string, err error) error {
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) {
		out := &syntaxError{Position{File: file}, syntax.Message}
		if syntax.Token != nil && syntax.Token.Position != nil {
			out.at.Line, out.at.Column = syntax.Token.Position.Line, syntax.Token.Position.Column
		}
		return out
	}
	return &syntaxError{Position{File: file}, "it is not YAML"}
}

// maxNesting bounds what the parser may have to nest, before it begins: brackets,
// and dashes or question marks in a row.
const maxNesting = 2000

func shallow(file string, data []byte) error {
	open := 0
	for number := 1; len(data) > 0; number++ {
		line := data
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			line, data = data[:i], data[i+1:]
		} else {
			data = nil
		}
		row := 0
		for rest := bytes.TrimLeft(line, " "); len(rest) > 1 && (rest[0] == '-' || rest[0] == '?') && rest[1] == ' '; {
			rest = bytes.TrimLeft(rest[1:], " ")
			row++
		}
		open += bytes.Count(line, []byte("[")) + bytes.Count(line, []byte("{"))
		open -= bytes.Count(line, []byte("]")) + bytes.Count(line, []byte("}"))
		if open = max(open, 0); open > maxNesting || row > maxNesting {
			return &syntaxError{Position{File: file, Line: number, Column: 1}, "it is nested too deeply"}
		}
	}
	return nil
}

// yamlReader makes nodes of the parser's.
type yamlReader struct {
	file    string
	budget  budget
	anchors map[string]ast.Node
	// following are the anchors that are being followed.
	following []string
}

func position(file string, n ast.Node) Position {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return position(file, m.Values[0])
	}
	if v, ok := n.(*ast.MappingValueNode); ok {
		n = v.Key
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return Position{File: file, Line: t.Position.Line, Column: t.Position.Column}
	}
	return Position{File: file}
}

func (c *yamlReader) read(n ast.Node, depth int) (*node, error) {
	out := &node{at: position(c.file, n)}
	if err := c.budget.spend(depth); err != nil {
		return nil, &syntaxError{out.at, err.Error()}
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return out, c.table(out, n.Values, depth)
	case *ast.MappingValueNode:
		return out, c.table(out, []*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		out.kind = list
		for _, item := range n.Values {
			value, err := c.read(item, depth+1)
			if err != nil {
				return nil, err
			}
			out.items = append(out.items, value)
		}
		return out, nil
	case *ast.AnchorNode:
		c.anchors[n.Name.GetToken().Value] = n.Value
		return c.read(n.Value, depth)
	case *ast.AliasNode:
		return c.follow(out, n.Value.GetToken().Value, depth)
	case *ast.TagNode:
		return c.tagged(out, n, depth)
	}
	return out, c.scalar(out, n)
}

// follow copies what an alias stands for, at a cost.
func (c *yamlReader) follow(out *node, name string, depth int) (*node, error) {
	target, ok := c.anchors[name]
	if !ok {
		return nil, &syntaxError{out.at, fmt.Sprintf("there is no anchor &%s before this alias", name)}
	}
	for _, f := range c.following {
		if f == name {
			return nil, &syntaxError{out.at, fmt.Sprintf("the alias *%s holds itself", name)}
		}
	}
	c.following = append(c.following, name)
	defer func() { c.following = c.following[:len(c.following)-1] }()
	return c.read(target, depth+1)
}

// tagged takes !!str for what it says; other tags change nothing.
func (c *yamlReader) tagged(out *node, n *ast.TagNode, depth int) (*node, error) {
	if n.Value == nil {
		return out, nil
	}
	value, err := c.read(n.Value, depth)
	if err == nil && n.Start != nil && n.Start.Value == "!!str" && value.kind <= text {
		value.kind, value.plain = text, false
	}
	return value, err
}

func (c *yamlReader) scalar(out *node, n ast.Node) error {
	switch n := n.(type) {
	case *ast.NullNode:
		out.kind = null
	case *ast.LiteralNode:
		out.kind, out.text = text, n.Value.Value
	case *ast.StringNode:
		out.kind, out.text = text, n.Value
		if t := n.GetToken(); t != nil && t.Type != token.SingleQuoteType && t.Type != token.DoubleQuoteType {
			out.plain = true
		}
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.plain = true
		out.retype(n.GetToken().Value)
		if out.kind == text { // a number that only YAML has: 1_000, .inf
			out.text = n.GetToken().Value
		}
	default:
		return &syntaxError{out.at, "this kind of value has no use here"}
	}
	return nil
}

func (c *yamlReader) table(out *node, values []*ast.MappingValueNode, depth int) error {
	out.kind = table
	var merged []*node
	for _, v := range values {
		at := position(c.file, v.Key)
		if v.Key.IsMergeKey() {
			from, err := c.read(v.Value, depth+1)
			if err != nil {
				return err
			}
			merged = append(merged, from)
			continue
		}
		key, err := c.key(v.Key, at)
		if err != nil {
			return err
		}
		value, err := c.read(v.Value, depth+1)
		if err != nil {
			return err
		}
		if err := add(out, key, at, value); err != nil {
			return err
		}
	}
	for _, from := range merged {
		if err := merge(out, from); err != nil {
			return err
		}
	}
	return nil
}

func (c *yamlReader) key(k ast.MapKeyNode, at Position) (string, error) {
	var value node
	value.at = at
	switch k := k.(type) {
	case *ast.MappingKeyNode:
		if err := c.scalar(&value, k.Value); err != nil {
			return "", &syntaxError{at, "a key must be text"}
		}
	default:
		if err := c.scalar(&value, k); err != nil {
			return "", &syntaxError{at, "a key must be text"}
		}
	}
	return value.text, nil
}

// add refuses a key that is there already: one of both would be lost. C9
func add(out *node, key string, at Position, value *node) error {
	if i := out.find(key); i >= 0 {
		return &syntaxError{at, fmt.Sprintf("the key %q is given twice; first in line %d", key, out.fields[i].at.Line)}
	}
	out.add(member{key, at, value})
	return nil
}

// merge adds what a merge key (<<) brings and the table does not have.
func merge(out, from *node) error {
	switch from.kind {
	case table:
		for _, f := range from.fields {
			if out.get(f.key) == nil {
				out.add(f)
			}
		}
	case list:
		for _, item := range from.items {
			if err := merge(out, item); err != nil {
				return err
			}
		}
	case null:
	default:
		return &syntaxError{from.at, "a merge key (<<) takes an object, or a list of objects"}
	}
	return nil
}
