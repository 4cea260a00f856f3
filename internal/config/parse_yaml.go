// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseYAML reads one YAML document.
func parseYAML(file string, data []byte) (root *node, err error) {
	defer func() {
		// The parser is not ours; a document must not end the process.
		if p := recover(); p != nil {
			root, err = nil, &syntaxError{Position{File: file}, "the YAML parser gave up on it"}
		}
	}()
	body, err := oneDocument(file, data)
	if err != nil {
		return nil, err
	}
	if body == nil {
		return &node{kind: null, at: Position{File: file, Line: 1, Column: 1}}, nil
	}
	c := &yamlReader{file: file}
	return c.read(body, 0)
}

// oneDocument gives the only document of a file that is not empty; nil for none.
func oneDocument(file string, data []byte) (*yaml.Node, error) {
	var body *yaml.Node
	for d := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return body, nil
		}
		if err != nil {
			return nil, yamlError(file, err)
		}
		if len(doc.Content) == 0 || doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].Tag == "!!null" {
			continue
		}
		if body != nil {
			at := Position{File: file, Line: doc.Content[0].Line, Column: doc.Content[0].Column}
			return nil, &syntaxError{at, "a second document begins here; one file holds one document"}
		}
		body = doc.Content[0]
	}
}

var lineOfError = regexp.MustCompile(`^yaml: line (\d+): `)

func yamlError(file string, err error) error {
	out := &syntaxError{Position{File: file}, strings.TrimPrefix(err.Error(), "yaml: ")}
	if m := lineOfError.FindStringSubmatch(err.Error()); m != nil {
		out.at.Line, _ = strconv.Atoi(m[1])
		out.message = strings.TrimPrefix(err.Error(), m[0])
	}
	return out
}

// yamlReader makes nodes of the parser's.
type yamlReader struct {
	file   string
	budget budget
	// following are the anchors that are being followed.
	following []*yaml.Node
}

func (c *yamlReader) position(n *yaml.Node) Position {
	return Position{File: c.file, Line: n.Line, Column: n.Column}
}

func (c *yamlReader) read(n *yaml.Node, depth int) (*node, error) {
	out := &node{at: c.position(n)}
	if err := c.budget.spend(depth); err != nil {
		return nil, &syntaxError{out.at, err.Error()}
	}
	switch n.Kind {
	case yaml.MappingNode:
		return out, c.table(out, n, depth)
	case yaml.SequenceNode:
		out.kind = list
		for _, item := range n.Content {
			value, err := c.read(item, depth+1)
			if err != nil {
				return nil, err
			}
			out.items = append(out.items, value)
		}
		return out, nil
	case yaml.AliasNode:
		return c.follow(out, n, depth)
	case yaml.ScalarNode:
		scalar(out, n)
		return out, nil
	}
	return nil, &syntaxError{out.at, "this kind of value has no use here"}
}

// follow copies what an alias stands for, at a cost.
func (c *yamlReader) follow(out *node, n *yaml.Node, depth int) (*node, error) {
	for _, f := range c.following {
		if f == n.Alias {
			return nil, &syntaxError{out.at, fmt.Sprintf("the alias *%s holds itself", n.Value)}
		}
	}
	c.following = append(c.following, n.Alias)
	defer func() { c.following = c.following[:len(c.following)-1] }()
	return c.read(n.Alias, depth+1)
}

// scalar takes quoted text, blocks and what is tagged !!str for text. Plain text
// is what YAML 1.2 says.
func scalar(out *node, n *yaml.Node) {
	const notPlain = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	if n.Style&notPlain != 0 || n.Style&yaml.TaggedStyle != 0 && n.Tag == "!!str" {
		out.kind, out.text = text, n.Value
		return
	}
	out.plain = true
	out.retype(n.Value)
}

func (c *yamlReader) table(out *node, n *yaml.Node, depth int) error {
	out.kind = table
	var merged []*node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, at := n.Content[i], c.position(n.Content[i])
		value, err := c.read(n.Content[i+1], depth+1)
		if err != nil {
			return err
		}
		switch {
		case key.Kind == yaml.AliasNode && key.Alias.Kind == yaml.ScalarNode:
			key = key.Alias
		case key.Kind != yaml.ScalarNode:
			return &syntaxError{at, "a key must be text"}
		case key.Tag == "!!merge":
			merged = append(merged, value)
			continue
		}
		if err := add(out, key.Value, at, value); err != nil {
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
