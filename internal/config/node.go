// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// node is a value of a document, whatever its syntax was.
type node struct {
	kind kind
	// text is that of a scalar, as written for plain ones and without quotes for
	// quoted ones.
	text string
	// written is the text before variables were put in; empty when there were none.
	written string
	// plain is text that was not quoted, and may mean a number or a boolean.
	plain  bool
	at     Position
	items  []*node
	fields []member
	// index finds fields of a wide table; nil for a narrow one.
	index map[string]int
}

// member is a key of a table and its value.
type member struct {
	key   string
	at    Position
	value *node
}

type kind uint8

const (
	null kind = iota
	boolean
	number
	text
	list
	table
)

var kindNames = [...]string{"nothing", "true or false", "a number", "text", "a list", "an object"}

func (k kind) String() string { return kindNames[k] }

// wide is how many fields a table has before it gets an index.
const wide = 16

// find gives the place of a key; -1 when it is not there.
func (n *node) find(key string) int {
	if n == nil {
		return -1
	}
	if len(n.fields) <= wide {
		for i := range n.fields {
			if n.fields[i].key == key {
				return i
			}
		}
		return -1
	}
	if n.index == nil {
		n.index = make(map[string]int, 2*len(n.fields))
		for i := range n.fields {
			n.index[n.fields[i].key] = i
		}
	}
	if i, ok := n.index[key]; ok {
		return i
	}
	return -1
}

// get gives the value of a key; nil when there is none.
func (n *node) get(key string) *node {
	if i := n.find(key); i >= 0 {
		return n.fields[i].value
	}
	return nil
}

// take removes a key and gives its value.
func (n *node) take(key string) *node {
	i := n.find(key)
	if i < 0 {
		return nil
	}
	value := n.fields[i].value
	n.fields, n.index = append(n.fields[:i:i], n.fields[i+1:]...), nil
	return value
}

// add appends a key that is not there yet.
func (n *node) add(m member) {
	if n.index != nil {
		n.index[m.key] = len(n.fields)
	}
	n.fields = append(n.fields, m)
}

func (n *node) set(key string, value *node) { n.add(member{key: key, at: value.at, value: value}) }

// child gives the table under a key, making it when it is not there; nil when
// something else is.
func (n *node) child(key string) *node {
	c := n.get(key)
	if c == nil || c.kind == null {
		n.take(key)
		c = &node{kind: table, at: n.at}
		n.set(key, c)
	}
	if c.kind != table {
		return nil
	}
	return c
}

// scalar gives the meaning of plain text by the core schema of YAML 1.2.
func (n *node) retype(value string) {
	n.text = value
	switch value {
	case "", "~", "null", "Null", "NULL":
		n.kind = null
		return
	case "true", "True", "TRUE", "false", "False", "FALSE":
		n.kind, n.text = boolean, strings.ToLower(value)
		return
	}
	n.kind = text
	if isNumber(value) {
		n.kind = number
	}
}

func isNumber(s string) bool {
	if _, ok := parseInt(s); ok {
		return true
	}
	if strings.ContainsAny(s, "xXpP_nNiI") {
		return false
	}
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// parseInt reads decimal, and 0x, 0o and 0b with their digits.
func parseInt(s string) (int64, bool) {
	base := 10
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 {
		return 0, false
	}
	if len(digits) > 2 && digits[0] == '0' && strings.ContainsRune("xob", rune(digits[1])) {
		base = 0
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(s, "+"), base, 64)
	return n, err == nil
}

// json writes the value as JSON, keys in the order of the document.
func (n *node) json() []byte {
	var b bytes.Buffer
	n.write(&b)
	return b.Bytes()
}

func (n *node) write(b *bytes.Buffer) {
	switch n.kind {
	case null:
		b.WriteString("null")
	case boolean:
		b.WriteString(n.text)
	case number:
		b.WriteString(jsonNumber(n.text))
	case text:
		b.Write(quote(n.text))
	case list:
		b.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				b.WriteByte(',')
			}
			item.write(b)
		}
		b.WriteByte(']')
	case table:
		b.WriteByte('{')
		for i, f := range n.fields {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(quote(f.key))
			b.WriteByte(':')
			f.value.write(b)
		}
		b.WriteByte('}')
	}
}

func quote(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return []byte(strconv.Quote(s))
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// jsonNumber gives the JSON spelling of a YAML number.
func jsonNumber(s string) string {
	if n, ok := parseInt(s); ok {
		return strconv.FormatInt(n, 10)
	}
	if json.Valid([]byte(s)) {
		return s
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return "null"
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// plainValue gives the value as maps, slices and scalars.
func (n *node) plainValue() any {
	var v any
	d := json.NewDecoder(bytes.NewReader(n.json()))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil
	}
	return v
}

// Bounds of a document. C9
const (
	maxDocumentBytes = 32 << 20
	maxDepth         = 64
	maxNodes         = 2 << 20
)

// budget counts what a document makes us hold, aliases followed.
type budget struct{ nodes int }

func (b *budget) spend(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("it is nested more than %d levels deep", maxDepth)
	}
	if b.nodes++; b.nodes > maxNodes {
		return fmt.Errorf("it holds more than %d values, aliases followed", maxNodes)
	}
	return nil
}

// syntaxError is a document that cannot be read, and where.
type syntaxError struct {
	at      Position
	message string
}

func (e *syntaxError) Error() string {
	switch {
	case e.at.Line == 0:
		return e.message
	case e.at.Column == 0:
		return fmt.Sprintf("line %d: %s", e.at.Line, e.message)
	}
	return fmt.Sprintf("line %d, column %d: %s", e.at.Line, e.at.Column, e.message)
}
