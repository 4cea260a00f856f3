// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
)

// Namespace is where objects live that name none.
const Namespace = "default"

// Check gives the object as the API server would store it, with its defaults and
// namespace, and all that is wrong with it, with file, line and column. Fields
// that the schema does not have are errors, as they are for kubectl.
//
// Objects of this API, Secrets and ConfigMaps are checked. Those of other kinds
// are noted and not returned. An object is also nil when it has an error.
func (v *Validator) Check(doc Document) (*unstructured.Unstructured, []config.Problem) {
	c := &check{doc: doc, ref: doc.Ref(), object: runtime.DeepCopyJSON(doc.Object)}
	c.run(v)
	slices.SortStableFunc(c.problems, byPosition)
	if config.HasErrors(c.problems) || c.ignored {
		return nil, c.problems
	}
	return &unstructured.Unstructured{Object: c.object}, c.problems
}

// check is the work on one document.
type check struct {
	doc     Document
	ref     config.ObjectRef
	object  map[string]any
	ignored bool

	problems []config.Problem
}

func (c *check) run(v *Validator) {
	version, kind := textOf(c.object, "apiVersion"), textOf(c.object, "kind")
	group, _, _ := strings.Cut(version, "/")
	switch {
	case version == "" || kind == "":
		c.report("", config.ReasonInvalid, "an object needs apiVersion and kind")
	case version == "v1" && (kind == "Secret" || kind == "ConfigMap"):
		c.metadata()
		c.values()
	case version == v1alpha1.GroupVersion.String() && v.kinds[kind] != nil:
		c.metadata()
		c.resource(v, v.kinds[kind])
	case version == v1alpha1.GroupVersion.String():
		kinds := slices.Sorted(maps.Keys(v.kinds))
		c.report("kind", config.ReasonInvalid, fmt.Sprintf("%s is no kind of %s%s; it has %s", kind, group, meant(kind, kinds), strings.Join(kinds, ", ")))
	case group == v1alpha1.GroupVersion.Group:
		c.report("apiVersion", config.ReasonInvalid, fmt.Sprintf("use %s", v1alpha1.GroupVersion))
	default:
		c.ignored = true
		c.report("", config.ReasonIgnored, fmt.Sprintf("objects of kind %s do nothing here", kind))
		c.problems[len(c.problems)-1].Severity = config.SeverityNote
	}
}

// resource checks an object of this API, in the order of the API server: what is
// unknown, then defaults, then the schema and its rules.
func (c *check) resource(v *Validator, k *kind) {
	for _, field := range v.Unknown(runtime.DeepCopyJSON(c.object)) {
		c.unknown(k, field)
	}
	v.Unknown(c.object) // drops them
	v.Default(c.object)
	delete(c.object, "status") // is never set through a manifest
	for _, p := range explain(c.object, v.Validate(c.object)) {
		c.report(p.Field, p.Reason, p.Message)
	}
}

// unknown reports a field that the schema does not have.
func (c *check) unknown(k *kind, field string) {
	name := field[strings.LastIndexByte(field, '.')+1:]
	parent := strings.TrimSuffix(strings.TrimSuffix(field, name), ".")
	known := k.keys(parent)
	message := "is not a field of " + c.ref.Kind + meant(name, known)
	if len(known) > 0 && config.Nearest(name, known) == "" {
		message += "; known here are " + strings.Join(known, ", ")
	}
	c.report(field, config.ReasonUnknownField, message)
}

// meant is the end of a message about an unknown word.
func meant(word string, known []string) string {
	if near := config.Nearest(word, known); near != "" {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	return ""
}

func (c *check) report(field string, reason config.Reason, message string) {
	c.problems = append(c.problems, config.Problem{
		Object: c.ref, Field: field, Reason: reason, Message: message, Position: c.doc.Position(field),
	})
}

func byPosition(a, b config.Problem) int {
	return cmp.Or(cmp.Compare(a.Position.Line, b.Position.Line), cmp.Compare(a.Position.Column, b.Position.Column), cmp.Compare(a.Field, b.Field))
}
