// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// decoder puts nodes into the types of this package, and collects everything that
// does not fit. What is wrong with one object does not touch the others.
type decoder struct {
	// object is what problems are about.
	object ObjectRef
	source string
	strict bool
	// where, if set, notes the place of each field.
	where *placer

	// secrets, if set, takes the variables of credentials. expanded says that
	// variables have been put in, so that one which is left is not set.
	secrets  map[string]string
	expanded bool

	found collector
	// unwanted are keys of a document that may not hold them, and why.
	unwanted map[string]string
}

func (d *decoder) report(p Problem) { d.found.add(p) }

func (d *decoder) invalid(at Position, path, format string, args ...any) {
	d.report(Problem{
		Object: d.object, Field: path, Reason: ReasonInvalid, Message: fmt.Sprintf(format, args...), Position: at,
	})
}

var (
	unmarshaler    = reflect.TypeFor[json.Unmarshaler]()
	routeType      = reflect.TypeFor[Route]()
	middlewareType = reflect.TypeFor[Middleware]()
	rawType        = reflect.TypeFor[json.RawMessage]()
	durationType   = reflect.TypeFor[Duration]()
	secretType     = reflect.TypeFor[Secret]()
	keyType        = reflect.TypeFor[PrivateKey]()
)

// value decodes n into v, which is at path.
func (d *decoder) value(n *node, v reflect.Value, path string) {
	if v.Type() == rawType {
		d.where.noteBelow(n, path)
	}
	if v.Type() == durationType && n.kind == text && Unresolved(n.text) != "" {
		d.mismatch(n, path, "a time such as 30s")
		return
	}
	if v.CanAddr() && v.Addr().Type().Implements(unmarshaler) {
		if err := v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(n.json()); err != nil {
			d.invalid(n.at, path, "%v", err)
		}
		return
	}
	if n.kind == null {
		v.SetZero()
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path)
	case reflect.Struct:
		d.table(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	case reflect.Map:
		d.mapping(n, v, path)
	case reflect.Interface:
		if plain := n.plainValue(); plain != nil {
			v.Set(reflect.ValueOf(plain))
		}
	default:
		d.scalar(n, v, path)
	}
}

func (d *decoder) scalar(n *node, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.String:
		d.text(n, v, path)
	case reflect.Bool:
		b, ok := n.truth()
		if !ok {
			d.mismatch(n, path, "true or false")
			return
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int64:
		i, ok := n.whole()
		if !ok {
			d.mismatch(n, path, "a whole number")
			return
		}
		v.SetInt(i)
	case reflect.Float64:
		f, err := strconv.ParseFloat(n.text, 64)
		if n.kind != number || err != nil {
			d.mismatch(n, path, "a number")
			return
		}
		v.SetFloat(f)
	default:
		panic("config: no way to decode into " + v.Type().String())
	}
}

// text takes numbers and booleans as they are written: a password may well be
// 1234. A credential that refers to a variable that is not set is none. C2
func (d *decoder) text(n *node, v reflect.Value, path string) {
	if n.kind > text {
		d.mismatch(n, path, "text")
		return
	}
	v.SetString(n.text)
	t, name := v.Type(), Unresolved(n.text)
	d.credentials(n, t, path, n.text)
	switch {
	case name == "":
	case t == secretType || t == keyType:
		d.unresolved(n, v, path, name)
	case d.object.Kind == "Gateway" && d.expanded:
		d.report(Problem{
			Object: d.object, Field: path, Reason: ReasonInvalid, Severity: SeverityWarning, Position: n.at,
			Message: fmt.Sprintf("the variable %s is not set, so the text stays as it is written; set it", name),
		})
	}
}

// unresolved empties a credential of the settings, so that the gateway starts and
// does without it; an object with such a credential is set aside.
func (d *decoder) unresolved(n *node, v reflect.Value, path, name string) {
	p := Problem{
		Object: d.object, Field: path, Reason: ReasonSecretNotFound, Position: n.at,
		Message: fmt.Sprintf("the variable %s is not set; set it, or write the value in a Secret that sets it", name),
	}
	if d.object.Kind == "Gateway" {
		p.Severity = SeverityWarning
		v.SetString("")
	}
	d.report(p)
}

// mismatch says what a field takes. A variable that is not set is what is wrong,
// where there is one.
func (d *decoder) mismatch(n *node, path, want string) {
	if name := Unresolved(n.text); n.kind == text && name != "" {
		d.invalid(n.at, path, "wants %s, and the variable %s is not set; set it, or write the value", want, name)
		return
	}
	d.invalid(n.at, path, "wants %s, not %s", want, n.kind)
}

// truth also takes the words that YAML 1.1 has for a boolean, if not quoted.
func (n *node) truth() (value, ok bool) {
	switch {
	case n.kind == boolean:
		return n.text == "true", true
	case n.kind != text || !n.plain:
		return false, false
	}
	switch strings.ToLower(n.text) {
	case "yes", "on", "y":
		return true, true
	case "no", "off", "n":
		return false, true
	}
	return false, false
}

func (n *node) whole() (int64, bool) {
	if n.kind != number {
		return 0, false
	}
	if i, ok := parseInt(n.text); ok {
		return i, true
	}
	f, err := strconv.ParseFloat(n.text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

func (d *decoder) list(n *node, v reflect.Value, path string) {
	if n.kind != list {
		d.mismatch(n, path, "a list")
		return
	}
	out := reflect.MakeSlice(v.Type(), 0, len(n.items))
	for i, item := range n.items {
		element := reflect.New(v.Type().Elem()).Elem()
		at := fmt.Sprintf("%s[%d]", path, i)
		d.where.note(at, item.at)
		if isObject(element.Type()) {
			if !d.one(item, element, at) {
				continue
			}
		} else {
			d.value(item, element, at)
		}
		out = reflect.Append(out, element)
	}
	v.Set(out)
}

func isObject(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t == routeType || t == middlewareType
}

// one decodes a route or a middleware by itself, and tells whether it can be
// used. Field paths begin at the object.
func (d *decoder) one(n *node, v reflect.Value, at string) bool {
	t := v.Type()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	own := &decoder{object: ObjectRef{Kind: t.Name(), Source: d.source}, source: d.source, strict: d.strict, where: &placer{}}
	if name := n.get("name"); name != nil && name.kind <= text {
		own.object.Name = name.text
	}
	if n.kind != table {
		own.invalid(n.at, at, "wants an object, not %s", n.kind)
	} else {
		own.value(n, v, "")
	}
	for _, p := range own.found.problems() {
		d.report(p)
	}
	if HasErrors(own.found.list) {
		return false
	}
	meta := Meta{Ref: own.object, Position: n.at, places: own.where.places()}
	switch object := reflect.Indirect(v).Addr().Interface().(type) {
	case *Route:
		object.Meta = meta
		normaliseRoute(object)
	case *Middleware:
		object.Meta = meta
	}
	return true
}

func (d *decoder) mapping(n *node, v reflect.Value, path string) {
	if n.kind != table {
		d.mismatch(n, path, "an object")
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.fields))
	for _, f := range n.fields {
		element := reflect.New(v.Type().Elem()).Elem()
		d.where.note(join(path, f.key), placeOf(f))
		d.value(f.value, element, join(path, f.key))
		out.SetMapIndex(reflect.ValueOf(f.key), element)
	}
	v.Set(out)
}

func (d *decoder) table(n *node, v reflect.Value, path string) {
	if n.kind != table {
		d.mismatch(n, path, "an object")
		return
	}
	d.modernise(n, v.Type(), path)
	known := fieldsOf(v.Type())
	for _, f := range n.fields {
		index, ok := known[f.key]
		if !ok {
			d.unknown(f, path, known)
			continue
		}
		d.where.note(join(path, f.key), placeOf(f))
		d.value(f.value, v.Field(index), join(path, f.key))
	}
}

// unknown reports a key that nobody reads. C6
func (d *decoder) unknown(f member, path string, known map[string]int) {
	p := Problem{
		Object: d.object, Field: join(path, f.key), Reason: ReasonUnknownField, Severity: SeverityWarning,
		Message: "is not a known key and has no effect", Position: f.at,
	}
	if why, ok := d.unwanted[f.key]; ok && path == "" {
		p.Message = why
	} else if near := Nearest(f.key, slices.Collect(keysOf(known))); near != "" {
		p.Message += "; did you mean " + near + "?"
	}
	if d.strict {
		p.Severity = SeverityError
	}
	d.report(p)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
