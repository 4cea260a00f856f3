// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestTheProblemsOfADocumentAreBounded(t *testing.T) { // C9
	t.Parallel()
	var unknown, routes, invalid, hosts strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&unknown, "  x%d: 1\n", i)
		fmt.Fprintf(&routes, "  - {name: r%d, path: [], target: http://a}\n", i)
		fmt.Fprintf(&invalid, "  - {name: r%d, path: /, target: nowhere}\n", i)
		fmt.Fprintf(&hosts, "'a b', ")
	}
	for name, c := range map[string]struct {
		text    string
		errors  int
		omitted string
		kinds   string
	}{
		"unknown keys":                {"gateway:\n  routes: []\n" + unknown.String(), 0, "4900 more", "Gateway"},
		"routes that do not decode":   {"gateway:\n  routes:\n" + routes.String(), 100, "4900 more", "Route"},
		"routes that are invalid":     {"gateway:\n  routes:\n" + invalid.String(), 100, "4900 more", "Route"},
		"one route":                   {"gateway:\n  routes:\n  - {name: r, path: /, target: http://a, hosts: [" + hosts.String() + "]}\n", 100, "4900 more", "Route"},
		"a setting among warnings":    {"gateway:\n" + unknown.String() + "  timeouts: {read: x}\n  routes:\n" + routes.String(), 101, "9800 more", "Gateway"},
		"a setting behind bad routes": {"gateway:\n  routes:\n" + routes.String() + "  timeouts: {read: x}\n", 101, "4900 more", "Gateway"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems := all(t, "goma.yml", c.text, LoadOptions{})
			errors, kinds := 0, map[string]bool{}
			for _, p := range problems {
				if p.Severity == SeverityError {
					errors++
				}
				kinds[p.Object.Kind] = true
			}
			last := ""
			for _, p := range problems {
				if p.Reason == ReasonOmitted {
					last = p.Message
				}
			}
			if errors != c.errors || len(problems) > 2*maxProblems+2 || !strings.Contains(last, c.omitted) || !kinds[c.kinds] {
				t.Errorf("%d problems, %d errors, %v, %q", len(problems), errors, kinds, last)
			}
		})
	}
}

func TestEachObjectOfAClusterKeepsItsProblems(t *testing.T) { // O8
	t.Parallel()
	b := &Bundle{}
	for i := range 300 {
		r := route(fmt.Sprintf("r%d", i))
		r.Target = "nowhere"
		r.Meta = Meta{Ref: ObjectRef{Kind: "Route", Namespace: "shop", Name: r.Name, Source: "kubernetes"}, Position: Position{File: "same.yaml"}}
		b.Routes = append(b.Routes, r)
	}
	if _, problems := Merge(&File{}, []Layer{{SourceKubernetes, b}}); len(problems) != 300 {
		t.Errorf("%d problems of 300 objects", len(problems))
	}
	for _, r := range b.Routes {
		r.Meta.Ref.Source = "git"
	}
	_, problems := Merge(&File{}, []Layer{{SourceGit, b}})
	if len(problems) != 101 || problems[100].String() != "same.yaml: Route shop/r100: and 200 more problems, which are not listed; put these right first (Omitted)" {
		t.Errorf("%d problems, the last is %s", len(problems), problems[len(problems)-1])
	}
	if again := Bound(append(problems, problems[100])); len(again) != 101 || !strings.Contains(again[100].Message, "and 400 more") {
		t.Errorf("bound again there are %d, the last is %s", len(again), again[len(again)-1])
	}
}
