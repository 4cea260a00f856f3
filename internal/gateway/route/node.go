// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package route

import (
	"maps"
	"slices"
)

// node is a segment of the paths of one host pattern. Nodes of a published table
// do not change; a build makes its own copies on the way down to what it edits.
type node struct {
	literals map[string]*node
	any      *node
	// entries are those whose path ends here, the best first.
	entries []*Entry

	// owner is the build that made this node and so may still change it.
	owner *build
}

// build is one run of Build. Its address marks the nodes that are its own.
type build struct{ _ byte }

// own gives a node that b may change: n itself, its copy, or a new one.
func (b *build) own(n *node) *node {
	switch {
	case n == nil:
		return &node{owner: b}
	case n.owner == b:
		return n
	}
	return &node{literals: maps.Clone(n.literals), any: n.any, entries: slices.Clone(n.entries), owner: b}
}

// edit applies change to the entries at the end of the path, and gives the root
// that has them; nil when nothing is left below it.
func (b *build) edit(root *node, path []string, change func([]*Entry) []*Entry) *node {
	n := b.own(root)
	if len(path) == 0 {
		n.entries = change(n.entries)
	} else {
		child := b.edit(n.child(path[0]), path[1:], change)
		n.setChild(path[0], child)
	}
	if len(n.entries) == 0 && n.any == nil && len(n.literals) == 0 {
		return nil
	}
	return n
}

// at gives the entries at the end of the path.
func (n *node) at(path []string) []*Entry {
	for _, segment := range path {
		if n == nil {
			return nil
		}
		n = n.child(segment)
	}
	if n == nil {
		return nil
	}
	return n.entries
}

func (n *node) child(segment string) *node {
	if segment == placeholder {
		return n.any
	}
	return n.literals[segment]
}

func (n *node) setChild(segment string, child *node) {
	switch {
	case segment == placeholder:
		n.any = child
	case child == nil:
		delete(n.literals, segment)
	default:
		if n.literals == nil {
			n.literals = map[string]*node{}
		}
		n.literals[segment] = child
	}
}
