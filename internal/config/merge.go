// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"fmt"
	"slices"
)

// Config is what the data plane compiles: the settings of the main file and the
// valid routes and middlewares of all sources, in order of precedence.
type Config struct {
	Gateway     *Gateway
	CertManager *CertManager
	Routes      []*Route
	Middlewares []*Middleware

	file *File
}

// Source names where a Bundle came from. Lower values come first, and of two
// objects with one name the first serves.
type Source int

// The sources in order of precedence.
const (
	SourceStatic Source = iota
	SourceExtra
	SourceFile
	SourceKubernetes
	SourceHTTP
	SourceGit
)

var sourceNames = [...]string{"static", "extra", "file", "kubernetes", "http", "git"}

// String gives the name as it stands in problems and logs.
func (s Source) String() string {
	if s < 0 || int(s) >= len(sourceNames) {
		return fmt.Sprintf("Source(%d)", int(s))
	}
	return sourceNames[s]
}

// Layer is the newest Bundle of one source.
type Layer struct {
	Source Source
	Bundle *Bundle
}

// Merge joins the main file and the Bundles of all sources. An invalid object,
// and a second one of a name, is left out and reported; all others are in the
// Config, by the pointers that the Bundles hold. The static objects of the file
// come first; equal sources keep the order in which they are given.
func Merge(f *File, layers []Layer) (*Config, []Problem) {
	ordered := append([]Layer{{Source: SourceStatic, Bundle: staticBundle(f)}}, layers...)
	slices.SortStableFunc(ordered, func(a, b Layer) int { return cmp.Compare(a.Source, b.Source) })
	m := merger{
		config:      &Config{Gateway: &f.Gateway, CertManager: f.CertManager, file: f},
		routes:      map[string]Source{},
		middlewares: map[string]Source{},
	}
	for _, l := range ordered {
		if l.Bundle != nil {
			m.add(l)
		}
	}
	return m.config, Bound(m.problems)
}

// staticBundle points into the file, so that two merges of one file agree on the
// pointers.
func staticBundle(f *File) *Bundle {
	b := &Bundle{}
	for i := range f.Gateway.Routes {
		b.Routes = append(b.Routes, &f.Gateway.Routes[i])
	}
	for i := range f.Middlewares {
		b.Middlewares = append(b.Middlewares, &f.Middlewares[i])
	}
	return b
}

type merger struct {
	config      *Config
	routes      map[string]Source
	middlewares map[string]Source
	problems    []Problem
}

func (m *merger) add(l Layer) {
	for _, r := range l.Bundle.Routes {
		ref := refOf("Route", r.Name, r.Meta.Ref)
		problems := append(ValidateRoute(r), m.config.CertManager.unknownProvider(r)...)
		if m.admit(ref, r.Meta, l.Source, problems, m.routes) {
			m.config.Routes = append(m.config.Routes, r)
		}
	}
	for _, w := range l.Bundle.Middlewares {
		ref := refOf("Middleware", w.Name, w.Meta.Ref)
		if m.admit(ref, w.Meta, l.Source, ValidateMiddleware(w), m.middlewares) {
			m.config.Middlewares = append(m.config.Middlewares, w)
		}
	}
}

// admit reports what is wrong with an object, and tells whether it serves. An
// invalid object does not take its name: a valid one of a later source may.
func (m *merger) admit(ref ObjectRef, meta Meta, from Source, problems []Problem, taken map[string]Source) bool {
	if ref.Source == "" {
		ref.Source = from.String()
	}
	for _, p := range problems {
		p.Object = ref
		m.problems = append(m.problems, p)
	}
	if HasErrors(problems) {
		return false
	}
	if first, ok := taken[ref.Name]; ok {
		reason := ReasonDuplicateName
		if first != from {
			reason = ReasonConflicted
		}
		m.problems = append(m.problems, Problem{
			Object: ref, Field: "name", Reason: reason, Position: meta.Place("name"),
			Message: fmt.Sprintf("the name is already taken by a %s of source %s, which serves; rename one of them", ref.Kind, first),
		})
		return false
	}
	taken[ref.Name] = from
	return true
}
