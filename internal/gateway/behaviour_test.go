// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bufio"
	"encoding/json"
	"fmt"
	goast "go/ast"
	goparser "go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// The tables of this family of files take every setting of the vocabulary to what it
// does in a running gateway, or to the test that does. Who adds a setting adds an
// entry: nothing is parsed that changes nothing. C7, T1

// settingsOf lists the settings below a type by their paths, as they are written.
func settingsOf(t reflect.Type, path string) (list []string) {
	switch {
	case t == reflect.TypeFor[json.RawMessage]():
		return []string{path}
	case t.Kind() == reflect.Pointer:
		return settingsOf(t.Elem(), path)
	case t.Kind() == reflect.Slice:
		return settingsOf(t.Elem(), path+"[0]")
	case t.Kind() == reflect.Map:
		return settingsOf(t.Elem(), path+".key")
	case t.Kind() != reflect.Struct:
		return []string{path}
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && name != "-" {
			list = append(list, settingsOf(f.Type, strings.TrimPrefix(path+"."+name, "."))...)
		}
	}
	return list
}

// complete demands an entry for each setting, and a setting for each entry.
func complete[E any](t *testing.T, settings []string, trials map[string]E, others map[string]shown) {
	t.Helper()
	entries := map[string]bool{}
	for path := range trials {
		entries[path] = true
	}
	for path := range others {
		entries[path] = true
	}
	for _, path := range settings {
		if !entries[path] {
			t.Errorf("%s has no entry: show by an experiment what it does in a running gateway, or name the test that does", path)
		}
	}
	for path := range entries {
		if !slices.Contains(settings, path) {
			t.Errorf("%s has an entry and is no setting", path)
		}
	}
}

// differs demands that two values differ in one setting alone, and what is seen of
// them too.
func differs(t *testing.T, path string, seen [2]string, base, with any, settings []string) {
	t.Helper()
	if got := differences(base, with, settings); len(got) != 1 || got[0] != path {
		t.Errorf("what the trial of %s compares differs in %v", path, got)
	}
	if seen[0] == seen[1] {
		t.Errorf("%s makes no difference", path)
	}
}

// differences are the settings in which two values differ.
func differences(a, b any, settings []string) (list []string) {
	first, second := map[string]string{}, map[string]string{}
	valuesOf(reflect.ValueOf(a), "", false, first)
	valuesOf(reflect.ValueOf(b), "", false, second)
	for _, path := range settings {
		if first[path] != second[path] {
			list = append(list, path)
		}
	}
	return list
}

// valuesOf prints what is set, by the paths of settingsOf. Elements of a list or a
// map share one path. A zero value is set only where a pointer leads to it.
func valuesOf(v reflect.Value, path string, explicit bool, values map[string]string) {
	if v.Type() == reflect.TypeFor[json.RawMessage]() {
		values[path] += string(v.Bytes())
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			valuesOf(v.Elem(), path, true, values)
		}
	case reflect.Slice:
		for i := range v.Len() {
			valuesOf(v.Index(i), path+"[0]", true, values)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			valuesOf(v.MapIndex(key), path+".key", true, values)
		}
	case reflect.Struct:
		for f, value := range v.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.IsExported() && name != "-" {
				valuesOf(value, strings.TrimPrefix(path+"."+name, "."), false, values)
			}
		}
	default:
		if v.IsZero() && !explicit {
			return
		}
		text := fmt.Sprintf("%#v", v.Interface())
		if s, ok := v.Interface().(interface{ Reveal() string }); ok {
			text = s.Reveal()
		}
		values[path] += text + ";"
	}
}

// shown names a test of another package that fails when a setting has no effect, and a
// word by which the test sets it; without a word it is the name of the setting.
type shown struct{ dir, test, word string }

// check demands that the test is there and sets the setting.
func (s shown) check(t *testing.T, setting string) {
	t.Helper()
	word := s.word
	if word == "" {
		word = strings.TrimSuffix(strings.TrimSuffix(setting[strings.LastIndex(strings.TrimSuffix(setting, ".key"), ".")+1:], ".key"), "[0]")
	}
	text, ok := testsOf(t, s.dir)[s.test]
	if !ok {
		t.Errorf("%s: there is no %s in %s", setting, s.test, s.dir)
	} else if !strings.Contains(strings.ToLower(text), strings.ToLower(word)) {
		t.Errorf("%s: %s in %s does not mention %s", setting, s.test, s.dir, word)
	}
}

// testsOf gives the text of each function in the tests of a directory of the module.
func testsOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", dir, "*_test.go"))
	must(t, err)
	found := map[string]string{}
	for _, name := range files {
		text, err := os.ReadFile(name) //nolint:gosec // a file of this module
		must(t, err)
		set := token.NewFileSet()
		f, err := goparser.ParseFile(set, name, text, goparser.SkipObjectResolution)
		must(t, err)
		for _, d := range f.Decls {
			if fn, ok := d.(*goast.FuncDecl); ok {
				found[fn.Name.Name] = string(text[set.Position(fn.Pos()).Offset:set.Position(fn.End()).Offset])
			}
		}
	}
	return found
}

// series gives the metrics that have a label.
func (r *running) series(label string) (list []string) {
	text, _ := r.scrape()
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		if strings.Contains(s.Text(), label) {
			list = append(list, s.Text())
		}
	}
	return list
}
