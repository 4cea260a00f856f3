// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Whoever meets a condition or a reason finds it on the page on troubleshooting.
func TestEveryConditionAndReasonIsExplained(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	explained := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, word := range regexp.MustCompile("`([A-Za-z]+)`").FindAllStringSubmatch(cells[1], -1) {
				explained[word[1]] = true
			}
		}
	}
	values := constants(t, "condition.go", "../../config/problem.go")
	if len(values) < 35 {
		t.Fatalf("found only %v", values)
	}
	known := map[string]bool{}
	for name, value := range values {
		if !explained[value] {
			t.Errorf("docs/troubleshooting.md has no row for %q (%s)", value, name)
		}
		known[value] = true
	}
	for word := range explained {
		if !known[word] && word != "Allow" && word[0] < 'a' {
			t.Errorf("docs/troubleshooting.md explains %q, which is no condition and no reason", word)
		}
	}
}

// constants gives the texts that conditions and reasons are made of, by name.
func constants(t *testing.T, files ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if group, ok := decl.(*ast.GenDecl); ok && group.Tok == token.CONST {
				collect(out, group, strings.HasSuffix(path, "condition.go"))
			}
		}
	}
	return out
}

// collect takes reasons, and where all is set the condition types too.
func collect(out map[string]string, group *ast.GenDecl, all bool) {
	for _, spec := range group.Specs {
		v := spec.(*ast.ValueSpec)
		for i, name := range v.Names {
			if i >= len(v.Values) {
				continue
			}
			text, ok := v.Values[i].(*ast.BasicLit)
			if ok && text.Kind == token.STRING && (all || strings.HasPrefix(name.Name, "Reason")) {
				out[name.Name], _ = strconv.Unquote(text.Value)
			}
		}
	}
}
