// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/deploy/crds"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/schema/schematest"
)

func validator(t *testing.T) *Validator {
	t.Helper()
	v, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// only reads a manifest of one document.
func only(t *testing.T, text string) Document {
	t.Helper()
	docs, problems := Documents("x.yaml", []byte(text))
	if len(docs) != 1 || len(problems) != 0 {
		t.Fatalf("read %d documents, %v, from:\n%s", len(docs), problems, text)
	}
	return docs[0]
}

// O14
func TestEachRuleAcceptsAndRefuses(t *testing.T) {
	t.Parallel()
	v := validator(t)
	names := map[string]bool{}
	for _, c := range schematest.Cases() {
		if names[c.Kind+c.Name] {
			t.Errorf("two cases are called %s", c.Name)
		}
		names[c.Kind+c.Name] = true
		t.Run(c.Kind+"/"+c.Name, func(t *testing.T) {
			t.Parallel()
			if _, problems := v.Check(only(t, schematest.Manifest(c.Kind, c.ObjectName(), c.Accepted))); len(problems) != 0 {
				t.Errorf("%s is refused: %v", c.Accepted, problems)
			}
			if c.Refused == "" {
				return
			}
			object, problems := v.Check(only(t, schematest.Manifest(c.Kind, c.ObjectName(), c.Refused)))
			if object != nil || !refusedBy(problems, c) {
				t.Errorf("%s: want one problem of %s with %q, got %v", c.Refused, c.Field, c.Says, problems)
			}
			for _, p := range problems {
				if p.Position.File != "x.yaml" || p.Position.Line != 4 || p.Position.Column < 1 {
					t.Errorf("%v is not placed on the line of the spec", p)
				}
			}
		})
	}
}

// refusedBy tells whether the first problem is that of the case.
func refusedBy(problems []config.Problem, c schematest.Case) bool {
	return len(problems) > 0 && problems[0].Field == c.Field && strings.Contains(problems[0].Message, c.Says)
}

func TestTheSmallestGatewayIsValid(t *testing.T) {
	t.Parallel()
	gateway, problems := validator(t).Check(only(t, schematest.Manifest("Gateway", "gateway", "{}")))
	if len(problems) != 0 {
		t.Fatalf("refused: %v", problems)
	}
	spec := gateway.Object["spec"].(map[string]any)
	if len(spec) != 2 || spec["image"] != "jkaninda/goma-gateway:latest" || spec["replicas"] != int64(1) {
		t.Fatalf("defaults are %v", spec)
	}
	if gateway.GetNamespace() != "default" {
		t.Errorf("it is in namespace %q", gateway.GetNamespace())
	}
}

// The names of a Gateway's Deployment, Service and label are its own, and the
// Service is the strictest.
func TestAGatewayHasANameThatItsServiceCanHave(t *testing.T) {
	t.Parallel()
	v := validator(t)
	for _, name := range []string{"g", "prod-gateway", "g" + strings.Repeat("x", 62)} {
		if _, problems := v.Check(only(t, schematest.Manifest("Gateway", name, "{}"))); len(problems) != 0 {
			t.Errorf("%s is refused: %v", name, problems)
		}
	}
	for _, name := range []string{"1", "a.b", "g-", "g" + strings.Repeat("x", 63)} {
		_, problems := v.Check(only(t, schematest.Manifest("Gateway", name, "{}")))
		named := slices.ContainsFunc(problems, func(p config.Problem) bool { return strings.Contains(p.Message, "also that of its Service") })
		if !named {
			t.Errorf("%s: got %v", name, problems)
		}
	}
}

func TestEveryExampleIsAcceptedStrictly(t *testing.T) { // Z2
	t.Parallel()
	v := validator(t)
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(files) < 25 {
		t.Fatalf("found %d examples, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			docs, problems := Documents(file, text)
			if len(docs) == 0 || len(problems) != 0 {
				t.Fatalf("read %d documents: %v", len(docs), problems)
			}
			for _, doc := range docs {
				if _, problems := v.Check(doc); len(problems) != 0 {
					t.Errorf("%v is refused: %v", doc.Ref(), problems)
				}
			}
		})
	}
}

func TestEachDefinitionFitsAPlainApply(t *testing.T) { // Z1
	t.Parallel()
	const limit = 256 << 10 // of all annotations of an object
	files, err := fs.Glob(crds.Files, "*.yaml")
	if err != nil || len(files) != 3 {
		t.Fatalf("found %v, %v", files, err)
	}
	for _, name := range files {
		text, err := crds.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) >= limit {
			t.Errorf("%s has %d bytes; kubectl apply keeps it in an annotation, and those end at %d", name, len(text), limit)
		}
	}
}
