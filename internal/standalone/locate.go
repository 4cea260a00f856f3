// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"cmp"
	"slices"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/schema"
)

// Locate gives a problem the position of its field in the manifests, and the
// field as it is written there. It works for what the translation and the gateway
// say, which do not know files.
func (o *Objects) Locate(p config.Problem) config.Problem {
	doc, ok := o.document(p.Object)
	if !ok {
		return p
	}
	if p.Object.Namespace == "" {
		p.Object.Namespace = keyOf(doc).Namespace
	}
	if p.Field != "" && !strings.HasPrefix(p.Field, "spec") && !strings.HasPrefix(p.Field, "metadata") {
		p.Field = "spec." + p.Field
	}
	p.Position = doc.Position(p.Field)
	return p
}

// document finds the manifest of an object. Where the namespace is not known, the
// name has to be unique.
func (o *Objects) document(ref config.ObjectRef) (schema.Document, bool) {
	if ref.Namespace != "" {
		doc, ok := o.documents[key{ref.Kind, ref.Namespace, ref.Name}]
		return doc, ok
	}
	var found []schema.Document
	for k, doc := range o.documents {
		if k.Kind == ref.Kind && k.Name == ref.Name {
			found = append(found, doc)
		}
	}
	if len(found) != 1 {
		return schema.Document{}, false
	}
	return found[0], true
}

// locateAll locates problems, drops those that are said twice, and sorts them by
// file and line.
func (o *Objects) locateAll(problems []config.Problem) []config.Problem {
	var out []config.Problem
	seen := map[config.Problem]bool{}
	for _, p := range problems {
		if p.Position == (config.Position{}) {
			p = o.Locate(p)
		}
		said := p
		said.Object.Source = ""
		if !seen[said] {
			seen[said] = true
			out = append(out, p)
		}
	}
	Sort(out)
	return out
}

// Sort orders problems by position, then by object and field.
func Sort(problems []config.Problem) {
	slices.SortStableFunc(problems, func(a, b config.Problem) int {
		return cmp.Or(
			cmp.Compare(a.Position.File, b.Position.File),
			cmp.Compare(a.Position.Line, b.Position.Line),
			cmp.Compare(a.Position.Column, b.Position.Column),
			cmp.Compare(a.Object.String(), b.Object.String()),
			cmp.Compare(a.Field, b.Field),
		)
	})
}
