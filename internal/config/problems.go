// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import "fmt"

// maxProblems is how many problems of one class are listed of one document, or of
// one object that is in none. C9
const maxProblems = 100

// class ranks problems, so that many of one class leave room for the others.
type class int

const (
	// refusal is an error of the settings, which keeps the process from starting.
	refusal class = iota
	// setAside is an error of an object.
	setAside
	// remark is all else.
	remark
	classCount
)

func classOf(p Problem) class {
	switch {
	case p.Severity != SeverityError:
		return remark
	case p.Object.Kind == "Route" || p.Object.Kind == "Middleware":
		return setAside
	}
	return refusal
}

// collector keeps the first problems of each class, and counts the others. The
// worst class that there is has at least one in the list.
type collector struct {
	list    []Problem
	kept    [classCount]int
	omitted int
	// first is one of those that were left out.
	first Problem
}

func (c *collector) add(p Problem) {
	k := classOf(p)
	if p.Reason == ReasonOmitted {
		c.leave(p, p.omitted())
		return
	}
	if c.kept[k] >= maxProblems {
		c.leave(p, 1)
		return
	}
	c.kept[k]++
	c.list = append(c.list, p)
}

func (c *collector) leave(p Problem, n int) {
	if c.omitted == 0 {
		c.first = p
	}
	c.omitted += n
}

// problems gives the list, and what was left out as its last entry.
func (c *collector) problems() []Problem {
	if c.omitted == 0 {
		return c.list
	}
	return append(c.list, Problem{
		Object: c.first.Object, Reason: ReasonOmitted, Severity: SeverityWarning,
		Message:  fmt.Sprintf(omittedMessage, c.omitted),
		Position: Position{File: c.first.Position.File},
	})
}

const omittedMessage = "and %d more problems, which are not listed; put these right first"

// omitted is how many problems this one stands for.
func (p Problem) omitted() (n int) {
	if _, err := fmt.Sscanf(p.Message, omittedMessage, &n); err != nil {
		return 1
	}
	return n
}

// document is what a bound is for: a file, or an object that is in none. Each
// object of a cluster is a document of its own, whose status needs its problems.
type document struct {
	file   string
	object ObjectRef
}

func documentOf(p Problem) document {
	if p.Position.File == "" || p.Object.Source == SourceKubernetes.String() {
		return document{object: p.Object}
	}
	return document{file: p.Position.File}
}

// Bound leaves out what is too much of one document, and says how much that is.
// The order stays. Errors are bounded by themselves: a document that had one has
// one still.
func Bound(problems []Problem) []Problem {
	if len(problems) <= maxProblems {
		return problems
	}
	collectors := map[document]*collector{}
	var order []document
	out := make([]Problem, 0, len(problems))
	for _, p := range problems {
		key := documentOf(p)
		c, ok := collectors[key]
		if !ok {
			c = &collector{}
			collectors[key], order = c, append(order, key)
		}
		before := len(c.list)
		if c.add(p); len(c.list) > before {
			out = append(out, p)
		}
	}
	for _, key := range order {
		c := collectors[key]
		out = append(out, c.problems()[len(c.list):]...)
	}
	return out
}
