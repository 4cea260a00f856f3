// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package route

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Candidate is a route that takes at least the host or the path of a request, and
// what kept it from serving.
type Candidate struct {
	Entry *Entry
	// Host is the pattern that takes the host; empty when none does.
	Host string
	// Failed is the predicate that failed, in words; empty for the route that
	// serves.
	Failed string

	stage int
	rank  int
}

// The stages of a candidate, best first.
const (
	stageServes = iota
	stageOutranked
	stageMethod
	stagePath
	stageHost
)

// Explain tells how Find comes to its result: the result, and the routes that
// were near, the nearest first. Unlike Find it looks at every route.
func (t *Table) Explain(method, host, path string) (Match, []Candidate) {
	m := t.Find(method, host, path)
	var hosts []hostPattern
	eachHost(host, func(p hostPattern) bool { hosts = append(hosts, p); return true })
	var list []Candidate
	for _, e := range t.entries {
		if c, ok := t.candidate(m, e, hosts, method, path); ok {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(a.stage, b.stage), compareRank(a, b))
	})
	return m, list
}

func compareRank(a, b Candidate) int {
	return cmp.Or(
		cmp.Compare(b.Entry.priority, a.Entry.priority),
		cmp.Compare(a.rank, b.rank),
		comparePath(a.Entry.path, b.Entry.path),
		compareAge(a.Entry, b.Entry),
	)
}

func (t *Table) candidate(m Match, e *Entry, hosts []hostPattern, method, path string) (Candidate, bool) {
	c := Candidate{Entry: e}
	c.rank = slices.IndexFunc(hosts, func(p hostPattern) bool { return slices.Contains(e.hosts, p) })
	onPath := e.path.takes(path)
	switch {
	case c.rank < 0 && !onPath:
		return c, false
	case c.rank < 0:
		c.stage, c.Failed = stageHost, "the host is none of "+strings.Join(e.Hosts(), ", ")
		return c, true
	}
	c.Host = hosts[c.rank].String()
	switch {
	case !onPath:
		c.stage, c.Failed = stagePath, "the path is not "+e.Path+" or below it"
	case !e.Admits(method):
		c.stage, c.Failed = stageMethod, "the method is none of "+strings.Join(e.methods, ", ")
	case e != m.Entry:
		c.stage, c.Failed = stageOutranked, outranked(m.Entry, e, hosts)
	}
	return c, true
}

// outranked says by which rule the winner comes first.
func outranked(winner, loser *Entry, hosts []hostPattern) string {
	rank := func(e *Entry) int {
		return slices.IndexFunc(hosts, func(p hostPattern) bool { return slices.Contains(e.hosts, p) })
	}
	by := "is listed first"
	switch {
	case winner.priority != loser.priority:
		by = "has the higher priority"
	case rank(winner) != rank(loser):
		by = "names the host more exactly"
	case comparePath(winner.path, loser.path) != 0:
		by = "names the path more exactly"
	case (len(winner.methods) == 0) != (len(loser.methods) == 0):
		by = "names its methods"
	case !winner.created.Equal(loser.created):
		by = "is older"
	}
	return fmt.Sprintf("route %s %s", winner.Name, by)
}

// takes tells whether a path in normal form is the pattern or below it.
func (p pathPattern) takes(path string) bool {
	rest := strings.TrimPrefix(path, "/")
	for _, want := range p.segments {
		var segment string
		segment, rest = nextSegment(rest)
		if segment == "" || want != placeholder && want != segment {
			return false
		}
	}
	return true
}
