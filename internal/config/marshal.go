// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// MarshalFile writes a File as YAML, keys in the order of the documentation.
// Secrets are written as *** unless they are references such as ${NAME}, so what
// it writes may be shown. Equal files give equal bytes.
func MarshalFile(f *File) ([]byte, error) { return marshal("file", f) }

// MarshalBundle writes a Bundle as YAML, by the rules of MarshalFile.
func MarshalBundle(b *Bundle) ([]byte, error) { return marshal("bundle", b) }

func marshal(what string, v any) ([]byte, error) {
	asJSON, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", what, err)
	}
	root, err := parseJSON(what, asJSON)
	if err != nil {
		return nil, fmt.Errorf("reading %s back: %w", what, err)
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	e.CompactSeqIndent()
	if err := e.Encode(root.yaml()); err != nil {
		return nil, fmt.Errorf("writing %s as YAML: %w", what, err)
	}
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("writing %s as YAML: %w", what, err)
	}
	return out.Bytes(), nil
}

// yaml gives the value as the encoder takes it.
func (n *node) yaml() *yaml.Node {
	switch n.kind {
	case list:
		out := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range n.items {
			out.Content = append(out.Content, item.yaml())
		}
		return out
	case table:
		out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, f := range n.fields {
			out.Content = append(out.Content, yamlText(f.key, false), f.value.yaml())
		}
		return out
	case text:
		return yamlText(n.text, true)
	case null:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: "null"}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: n.text}
}

// yamlText writes text so that it is read as the same text. Lines are kept as
// lines where nothing in them is out of the ordinary; whatever a reader could take
// for something else is quoted. T6
func yamlText(s string, block bool) *yaml.Node {
	out := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	switch {
	case block && ordinaryLines(s):
		out.Style = yaml.LiteralStyle
	case !ordinary(s):
		out.Style = yaml.DoubleQuotedStyle
	}
	return out
}

// ordinary text is one line that YAML reads as that text without quotes, or that
// the encoder knows how to quote.
func ordinary(s string) bool {
	var plain node
	plain.retype(s)
	return plain.kind == text && s != "<<" && strings.TrimSpace(s) == s && printable(s)
}

// ordinaryLines are two and more, of which none begins with a space or ends in one.
func ordinaryLines(s string) bool {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	if len(lines) < 2 || lines[0] == "" || lines[len(lines)-1] == "" {
		return false
	}
	for _, line := range lines {
		if strings.TrimRight(line, " ") != line || !printable(line) {
			return false
		}
	}
	return !strings.HasPrefix(lines[0], " ")
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsPrint(r) || r > unicode.MaxLatin1 && unicode.In(r, unicode.Zs, unicode.Cf)
	})
}
