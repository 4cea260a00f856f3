// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package route

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// Entry is a route in the form that the table matches with. It is immutable and
// is compared by pointer: an unchanged route keeps its Entry.
type Entry struct {
	// Name is the name of the route.
	Name string
	// Path is the pattern in normal form, without a trailing slash, with {} for
	// placeholders.
	Path string
	// Handler answers the requests of the route.
	Handler http.Handler

	priority int
	created  time.Time
	hosts    []hostPattern
	path     pathPattern
	// methods is sorted; empty admits all.
	methods []string
}

// New makes the entry of a route. A problem means that there is none: a route
// whose host or path nobody could match is not served. Fields of the problems are
// relative to the route.
func New(r *config.Route, h http.Handler) (*Entry, []config.Problem) {
	e := &Entry{Name: r.Name, Handler: h, priority: r.Priority, created: r.Meta.Created}
	var problems []config.Problem
	invalid := func(field, message string) {
		problems = append(problems, config.Problem{
			Object: r.Meta.Ref, Field: field, Reason: config.ReasonInvalid, Message: message, Position: r.Meta.Place(field),
		})
	}
	var err error
	if e.path, err = parsePath(r.Path); err != nil {
		invalid("path", err.Error())
	}
	e.Path = e.path.String()
	for i, text := range r.Hosts {
		p, err := parseHost(text)
		if err != nil {
			invalid(fmt.Sprintf("hosts[%d]", i), err.Error())
			continue
		}
		if !slices.Contains(e.hosts, p) {
			e.hosts = append(e.hosts, p)
		}
	}
	if len(e.hosts) == 0 {
		e.hosts = []hostPattern{anyHost}
	}
	e.methods = methodSet(r.Methods)
	if len(problems) > 0 {
		return nil, problems
	}
	return e, nil
}

// With gives the same entry with another handler and the metadata of r, which is
// equal to the route that the entry was made of.
func (e *Entry) With(r *config.Route, h http.Handler) *Entry {
	next := *e
	next.Handler, next.created = h, r.Meta.Created
	return &next
}

// Admits tells whether the route takes the method. GET admits HEAD.
func (e *Entry) Admits(method string) bool {
	if len(e.methods) == 0 || slices.Contains(e.methods, method) {
		return true
	}
	if method == http.MethodHead {
		return slices.Contains(e.methods, http.MethodGet)
	}
	upper := strings.ToUpper(method)
	return upper != method && e.Admits(upper)
}

func (e *Entry) ports() (n int) {
	for _, h := range e.hosts {
		if h.port != 0 {
			n++
		}
	}
	return n
}

// Methods gives the methods that the route names, in upper case; none means all.
func (e *Entry) Methods() []string { return e.methods }

// Hosts gives the host patterns as they would be written.
func (e *Entry) Hosts() []string {
	list := make([]string, len(e.hosts))
	for i, h := range e.hosts {
		list[i] = h.String()
	}
	return list
}

func methodSet(methods []string) []string {
	var set []string
	for _, m := range methods {
		set = append(set, strings.ToUpper(m))
	}
	slices.Sort(set)
	return slices.Compact(set)
}

// comparePlace orders entries that end at different nodes of one site: rules 1
// and 3 of the package.
func comparePlace(a, b *Entry) int {
	return cmp.Or(cmp.Compare(b.priority, a.priority), comparePath(a.path, b.path))
}

func comparePath(a, b pathPattern) int {
	if c := cmp.Or(cmp.Compare(b.literals, a.literals), cmp.Compare(len(b.segments), len(a.segments))); c != 0 {
		return c
	}
	for i, s := range a.segments {
		if t := b.segments[i]; (s == placeholder) != (t == placeholder) {
			if t == placeholder {
				return -1
			}
			return 1
		}
	}
	return 0
}

// compareAge orders entries of one path of one site, but for their place in the
// list: rules 1, 4 and 5 of the package.
func compareAge(a, b *Entry) int {
	if a.priority != b.priority {
		return cmp.Compare(b.priority, a.priority)
	}
	if (len(a.methods) == 0) != (len(b.methods) == 0) {
		if len(b.methods) == 0 {
			return -1
		}
		return 1
	}
	return a.created.Compare(b.created)
}
