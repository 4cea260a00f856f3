// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package route

import (
	"net/http"
	"slices"
	"strings"
)

// Match is what Find has found.
type Match struct {
	// Entry is the route; nil when no route takes the host and the path.
	Entry *Entry
	// Allow is empty when the route admits the method. Otherwise no route at
	// this host and path does, Entry is the best of them, and Allow lists the
	// methods that would have been admitted, as the header of a 405 does.
	Allow string
}

// Find finds the route for a request. Host and path are in the form that package
// normal gives; the host has a port if the request named one.
func (t *Table) Find(method, host, path string) Match {
	s := search{method: method}
	path = strings.TrimPrefix(path, "/")
	eachHost(host, func(p hostPattern) bool {
		if root := t.sites[p]; root != nil {
			s.site(root, path)
		}
		return true
	})
	if s.best == nil && s.refused != nil {
		return Match{Entry: s.refused, Allow: t.allow(host, path)}
	}
	return Match{Entry: s.best}
}

// search is one run of Find.
type search struct {
	method string
	// best is the best entry so far that admits the method, refused the best
	// that does not. Those of the current site compete by place first.
	best, refused         *Entry
	siteBest, siteRefused *Entry
}

// site looks at the paths of one host pattern. Patterns come in the order of
// their rank, so a later one wins by priority only.
func (s *search) site(root *node, path string) {
	s.siteBest, s.siteRefused = nil, nil
	s.walk(root, path)
	s.best = prior(s.best, s.siteBest)
	s.refused = prior(s.refused, s.siteRefused)
}

// prior gives the one that serves of an entry and one of a less specific host.
func prior(a, b *Entry) *Entry {
	if a == nil || b != nil && b.priority > a.priority {
		return b
	}
	return a
}

// walk visits the nodes that take a beginning of the path. There are at most two
// ways on from each: the literal segment and the placeholder.
func (s *search) walk(n *node, path string) {
	s.consider(n.entries)
	segment, rest := nextSegment(path)
	if segment == "" {
		return
	}
	if c := n.literals[segment]; c != nil {
		s.walk(c, rest)
	}
	if n.any != nil {
		s.walk(n.any, rest)
	}
}

func (s *search) consider(entries []*Entry) {
	for _, e := range entries {
		if e.Admits(s.method) {
			s.siteBest = better(s.siteBest, e)
			return
		}
		s.siteRefused = better(s.siteRefused, e)
	}
}

func better(a, b *Entry) *Entry {
	if a == nil || comparePlace(b, a) < 0 {
		return b
	}
	return a
}

// allow collects the methods of all routes at a host and path. It is for answers
// that refuse, and takes its time.
func (t *Table) allow(host, path string) string {
	var methods []string
	eachHost(host, func(p hostPattern) bool {
		t.sites[p].eachOn(path, func(e *Entry) { methods = append(methods, e.methods...) })
		return true
	})
	if slices.Contains(methods, http.MethodGet) {
		methods = append(methods, http.MethodHead)
	}
	slices.Sort(methods)
	return strings.Join(slices.Compact(methods), ", ")
}

// eachOn visits the entries of all nodes that take a beginning of the path.
func (n *node) eachOn(path string, visit func(*Entry)) {
	if n == nil {
		return
	}
	for _, e := range n.entries {
		visit(e)
	}
	if segment, rest := nextSegment(path); segment != "" {
		n.literals[segment].eachOn(rest, visit)
		n.any.eachOn(rest, visit)
	}
}
