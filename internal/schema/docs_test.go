// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"gateway.jkaninda.dev/goma/internal/config"
)

// block is a piece of YAML in a page.
type block struct{ page, text string }

func (b block) String() string { return b.page + ":\n" + b.text }

var fenced = regexp.MustCompile("(?s)```ya?ml\n(.*?)```")

// blocks gives every piece of YAML of the documentation.
func blocks(t *testing.T) []block {
	t.Helper()
	root := filepath.Join("..", "..")
	pages := []string{filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md")}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			pages = append(pages, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []block
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range fenced.FindAllStringSubmatch(string(text), -1) {
			out = append(out, block{page, m[1]})
		}
	}
	return out
}

// What a page shows can be copied and used: a manifest is what the API server takes, and a
// piece of goma.yml is what a gateway reads.
func TestEveryYAMLOfTheDocsIsAccepted(t *testing.T) { // Z2
	t.Parallel()
	v := validator(t)
	all := blocks(t)
	if len(all) < 50 {
		t.Fatalf("found only %d pieces of YAML", len(all))
	}
	for _, b := range all {
		for _, p := range b.problems(v) {
			t.Errorf("%s\n%v", b, p)
		}
	}
}

func TestAPieceOfYAMLThatIsWrongIsFound(t *testing.T) {
	t.Parallel()
	v := validator(t)
	for _, text := range []string{
		"kind: Route\napiVersion: gateway.jkaninda.dev/v1alpha1\nmetadata: {name: a}\nspec: {pathh: /}\n", "spec: {replica: 1}\n", "gateway: {nonsense: 1}\n",
		"routes: [{name: a, path: /, target: 'http://b', nonsense: 1}]\n", "other: 1\n", "a: [\n",
	} {
		if found := (block{"page.md", text}).problems(v); len(found) == 0 {
			t.Errorf("nothing is found in\n%s", text)
		}
	}
}

func (b block) problems(v *Validator) []config.Problem {
	var top map[string]any
	first, _, _ := strings.Cut(b.text, "\n---\n")
	if err := yaml.Unmarshal([]byte(first), &top); err != nil {
		return []config.Problem{{Message: err.Error()}}
	}
	has := func(keys ...string) bool {
		for _, k := range keys {
			if _, ok := top[k]; ok {
				return true
			}
		}
		return false
	}
	switch {
	case strings.HasPrefix(b.text, "# values of the chart "):
		return nil // the tests of the charts try them
	case has("kind"):
		return manifests(v, b.page, b.text)
	case has("spec"):
		return manifests(v, b.page, "apiVersion: gateway.jkaninda.dev/v1alpha1\nkind: Gateway\nmetadata: {name: gateway}\n"+b.text)
	case has("gateway", "certManager"):
		_, problems, err := config.ParseFile(b.page, []byte(b.text), config.LoadOptions{})
		return withError(problems, err)
	case has("routes", "middlewares"):
		_, problems, err := config.ParseBundle(b.page, []byte(b.text), config.LoadOptions{})
		return withError(problems, err)
	}
	return []config.Problem{{Message: "is neither a manifest nor a piece of goma.yml nor the values of a chart"}}
}

func manifests(v *Validator, page, text string) []config.Problem {
	docs, problems := Documents(page, []byte(text))
	for _, doc := range docs {
		_, found := v.Check(doc)
		problems = append(problems, found...)
	}
	return problems
}

// withError leaves out what depends on the machine: variables that are not set.
func withError(problems []config.Problem, err error) []config.Problem {
	if err != nil {
		problems = append(problems, config.Problem{Message: fmt.Sprint(err)})
	}
	var out []config.Problem
	for _, p := range problems {
		if p.Severity != config.SeverityNote && !strings.Contains(p.Message, "is not set") {
			out = append(out, p)
		}
	}
	return out
}
