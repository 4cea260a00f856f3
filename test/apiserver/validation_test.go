// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"gateway.jkaninda.dev/goma/internal/schema"
	"gateway.jkaninda.dev/goma/internal/schema/schematest"
)

// O14: each rule of the definitions, on a real API server. The same table is the
// unit test of package schema, so what is accepted here is what "goma check" accepts.
func TestTheAPIServerAcceptsAndRefusesWhatTheSchemaSays(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	offline, err := schema.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range schematest.Cases() {
		t.Run(c.Kind+"/"+c.Name, func(t *testing.T) {
			if err := s.tryCreate(t, c.Kind, c.ObjectName(), c.Accepted); err != nil {
				t.Errorf("%s is refused: %v", c.Accepted, err)
			}
			if c.Refused == "" {
				return
			}
			err := s.tryCreate(t, c.Kind, c.ObjectName(), c.Refused)
			if !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) {
				t.Fatalf("%s: want a refusal, got %v", c.Refused, err)
			}
			if last := c.Field[strings.LastIndexByte(c.Field, '.')+1:]; !strings.Contains(err.Error(), strings.TrimRight(last, "]0123456789[")) {
				t.Errorf("%s: %v does not name %s", c.Refused, err, c.Field)
			}
			docs, problems := schema.Documents("x", []byte(schematest.Manifest(c.Kind, c.ObjectName(), c.Refused)))
			if len(problems) == 0 {
				_, problems = offline.Check(docs[0])
			}
			if len(problems) == 0 {
				t.Errorf("%s: package schema accepts it", c.Refused)
			}
		})
	}
}

// tryCreate asks for an object to be created strictly, without creating it.
func (s *stage) tryCreate(t *testing.T, kind, name, spec string) error {
	t.Helper()
	var object unstructured.Unstructured
	if err := yaml.Unmarshal([]byte(schematest.Manifest(kind, name, spec)), &object.Object); err != nil {
		t.Fatal(err)
	}
	object.SetNamespace(s.ns)
	return s.client.Create(t.Context(), &object, client.DryRunAll, client.FieldValidation("Strict"))
}

// Every example, as kubectl sends it.
func TestTheAPIServerAcceptsEveryExampleStrictly(t *testing.T) { // Z2
	t.Parallel()
	s := newStage(t)
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(files) < 25 {
		t.Fatalf("found %d examples, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			docs, problems := schema.Documents(file, text)
			if len(docs) == 0 || len(problems) > 0 {
				t.Fatalf("%d documents, %v", len(docs), problems)
			}
			for _, doc := range docs {
				object := &unstructured.Unstructured{Object: doc.Object}
				object.SetNamespace(s.ns)
				if err := s.client.Create(t.Context(), object, client.DryRunAll, client.FieldValidation("Strict")); err != nil {
					t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
				}
			}
		})
	}
}

// Z1: kubectl apply keeps the whole manifest in an annotation, which must fit.
func TestTheDefinitionsFitAPlainApply(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	files, err := filepath.Glob("../../deploy/crds/*.yaml")
	if err != nil || len(files) != 3 {
		t.Fatalf("%d definitions, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var definition apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &definition); err != nil {
			t.Fatal(err)
		}
		asJSON, err := json.Marshal(&definition)
		if err != nil {
			t.Fatal(err)
		}
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{
			"kubectl.kubernetes.io/last-applied-configuration": string(asJSON),
		}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.client.Patch(t.Context(), &definition, client.RawPatch("application/merge-patch+json", patch), client.DryRunAll); err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
	}
}

// What kubectl get shows, as the product document has it.
func TestTheColumnsAreTheDocumentedOnes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for name, want := range map[string]string{
		"gateways.gateway.jkaninda.dev":    "Type Address Replicas Ready Routes Age",
		"routes.gateway.jkaninda.dev":      "Gateways Path Target Ready Age",
		"middlewares.gateway.jkaninda.dev": "Type Ready Age",
	} {
		var definition apiextensionsv1.CustomResourceDefinition
		if err := s.client.Get(t.Context(), client.ObjectKey{Name: name}, &definition); err != nil {
			t.Fatal(err)
		}
		var columns []string
		for _, c := range definition.Spec.Versions[0].AdditionalPrinterColumns {
			if c.Priority == 0 {
				columns = append(columns, c.Name)
			}
		}
		if got := fmt.Sprint(columns); got != fmt.Sprint(strings.Fields(want)) {
			t.Errorf("%s has the columns %v, want %s", name, columns, want)
		}
	}
}
