// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// leaf is a field at the end of a path, and a way to set it. Each set fills what is
// on the way to it.
type leaf struct {
	path string
	set  func(root reflect.Value, n int)
}

// leaves lists the fields below a type.
func leaves(t reflect.Type, path string, at func(reflect.Value) reflect.Value) (list []leaf) {
	switch t {
	case rawType:
		return []leaf{{path, func(root reflect.Value, n int) {
			at(root).SetBytes(fmt.Appendf(nil, `{"a":false,"b":0,"c":"","n":%d}`, n))
		}}}
	case durationType, secretType, keyType:
		return []leaf{{path, func(root reflect.Value, n int) { give(at(root), n) }}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return leaves(t.Elem(), path, func(root reflect.Value) reflect.Value {
			v := at(root)
			if v.IsNil() {
				v.Set(reflect.New(t.Elem()))
			}
			return v.Elem()
		})
	case reflect.Slice:
		return leaves(t.Elem(), path+"[0]", func(root reflect.Value) reflect.Value {
			v := at(root)
			if v.Len() == 0 {
				v.Set(reflect.MakeSlice(t, 1, 1))
			}
			return v.Index(0)
		})
	case reflect.Map:
		return mapLeaves(t, path, at)
	case reflect.Struct:
		for f := range t.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !f.IsExported() || name == "-" {
				continue
			}
			list = append(list, leaves(f.Type, join(path, name), func(root reflect.Value) reflect.Value { return at(root).FieldByIndex(f.Index) })...)
		}
		return list
	}
	return []leaf{{path, func(root reflect.Value, n int) { give(at(root), n) }}}
}

// mapLeaves sets the element of one key.
func mapLeaves(t reflect.Type, path string, at func(reflect.Value) reflect.Value) []leaf {
	list := leaves(t.Elem(), path+".key", func(element reflect.Value) reflect.Value { return element })
	for i, l := range list {
		list[i].set = func(root reflect.Value, n int) {
			m := at(root)
			if m.IsNil() {
				m.Set(reflect.MakeMap(t))
			}
			element := reflect.New(t.Elem()).Elem()
			l.set(element, n)
			m.SetMapIndex(reflect.ValueOf("key"), element)
		}
	}
	return list
}

// give sets a leaf. 0 is the explicit zero value, where there is one.
func give(v reflect.Value, n int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(map[bool]string{true: "${V}"}[v.Type() == secretType])
		if v.Type() != secretType && n > 0 {
			v.SetString(fmt.Sprintf("/%d: 1 # 2", n))
		}
	case reflect.Bool:
		v.SetBool(n > 0)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(n) * map[bool]int64{true: 1e9, false: 1}[v.Type() == durationType])
	case reflect.Float64:
		v.SetFloat(float64(n) / 4)
	case reflect.Interface:
		v.Set(reflect.ValueOf(json.Number(fmt.Sprint(n))))
	default:
		panic("no value for " + v.Type().String())
	}
}

func root(v reflect.Value) reflect.Value { return v }

// TestEveryFieldIsTheSameInYAMLAndInJSON sets one field after the other, also to an
// explicit false and 0, and takes the document from one syntax to the other and
// back. C3, C7
func TestEveryFieldIsTheSameInYAMLAndInJSON(t *testing.T) {
	t.Parallel()
	all := leaves(reflect.TypeFor[File](), "", root)
	if len(all) < 150 {
		t.Fatalf("found only %d fields", len(all))
	}
	for _, l := range all {
		texts := map[string]int{}
		for n := range 3 {
			f := &File{Gateway: Gateway{Routes: []Route{}}}
			l.set(reflect.ValueOf(f).Elem(), n)
			first, err := MarshalFile(f)
			if err != nil {
				t.Fatalf("%s: %v", l.path, err)
			}
			if strings.Contains(string(first), "${V}") {
				hidden(t, l.path, first)
				texts[string(first)], texts[""] = 1, 1
				break
			}
			read := again(t, l.path, first)
			asJSON, err := json.Marshal(read)
			if err != nil {
				t.Fatalf("%s: %v", l.path, err)
			}
			last, err := MarshalFile(again(t, l.path, asJSON))
			if err != nil || string(first) != string(last) {
				t.Errorf("%s: %v\n%s\nbecame\n%s", l.path, err, first, last)
			}
			texts[string(first)]++
			forget(read)
			if n > 0 && !reflect.DeepEqual(normal(f), read) {
				t.Errorf("%s is read as\n%s\nand not as\n%s", l.path, dump(read), dump(f))
			}
		}
		if len(texts) < 2 {
			t.Errorf("%s makes no difference to what is written", l.path)
		}
	}
}

// hidden reads a credential by its variable: it is there, and is never written. C8
func hidden(t *testing.T, path string, text []byte) {
	t.Helper()
	const canary = "c4nary"
	f, problems, err := ParseFile("f.yml", text, LoadOptions{Strict: true, Env: env("V", canary)})
	if err != nil || len(problems) != 0 {
		t.Fatalf("%s: %v, %s", path, err, lines(problems))
	}
	found := map[string]bool{}
	secrets(reflect.ValueOf(f).Elem(), found)
	written, err := MarshalFile(f)
	if err != nil || !found[canary] || strings.Contains(string(written)+dump(f)+fmt.Sprintf("%v %+v %#v", f, f.Gateway, f.CertManager), canary) {
		t.Errorf("%s: %v, read %v, written\n%s", path, err, found, written)
	}
}

// secrets lists the credentials below a value.
func secrets(v reflect.Value, found map[string]bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			secrets(v.Elem(), found)
		}
	case reflect.Struct:
		for _, i := range fieldsOf(v.Type()) {
			secrets(v.Field(i), found)
		}
	case reflect.Slice:
		for i := range v.Len() {
			secrets(v.Index(i), found)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			secrets(v.MapIndex(key), found)
		}
	default:
		if s, ok := v.Interface().(Secret); ok {
			found[s.Reveal()] = true
		}
	}
}

// normal is a file as the loader brings it into one form.
func normal(f *File) *File {
	forget(f)
	for i := range f.Gateway.Routes {
		normaliseRoute(&f.Gateway.Routes[i])
	}
	f.secrets = nil
	return f
}

func again(t *testing.T, path string, text []byte) *File {
	t.Helper()
	f, problems, err := ParseFile("f.yml", text, LoadOptions{Strict: true})
	if err != nil {
		t.Fatalf("%s: %v\n%s", path, err, text)
	}
	if len(problems) != 0 {
		t.Errorf("%s: %s\n%s", path, lines(problems), text)
	}
	f.secrets = nil
	return f
}
