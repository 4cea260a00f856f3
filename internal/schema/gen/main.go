// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Command gen completes the definition of Middleware, as controller-gen writes
// it, with what package rules knows: the names of the types, and what their rule
// may hold. "make generate" runs it at the root of the repository; a second run
// changes nothing.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"gateway.jkaninda.dev/goma/internal/schema/rules"
)

const file = "deploy/crds/gateway.jkaninda.dev_middlewares.yaml"

// armored is how an encrypted rule begins; gateways decrypt it.
const armored = `^\s*-----BEGIN PGP MESSAGE-----`

func main() {
	log.SetFlags(0)
	log.SetPrefix("gen: ")
	text, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	if text, err = complete(text); err != nil {
		log.Fatalf("completing %s: %v", file, err)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		log.Fatal(err)
	}
}

// complete gives the definition with enum, rule and conditions.
func complete(text []byte) ([]byte, error) {
	var definition map[string]any
	if err := yaml.UnmarshalStrict(text, &definition); err != nil {
		return nil, err
	}
	spec, err := specOf(definition)
	if err != nil {
		return nil, err
	}
	rule, err := ruleSchema()
	if err != nil {
		return nil, err
	}
	properties, conditions := map[string]any{}, []any{}
	for _, part := range []struct{ from, to any }{{rule, &properties}, {rules.Conditions(), &conditions}} {
		if err := convert(part.from, part.to); err != nil {
			return nil, err
		}
	}
	names := []any{}
	for _, name := range rules.Names() {
		names = append(names, name)
	}
	spec["allOf"] = conditions
	for _, set := range []struct {
		value any
		path  []string
	}{{names, []string{"properties", "type", "enum"}}, {properties, []string{"properties", "rule"}}} {
		if err := unstructured.SetNestedField(spec, set.value, set.path...); err != nil {
			return nil, err
		}
	}
	out, err := yaml.Marshal(definition)
	return append([]byte("---\n"), out...), err
}

// specOf finds the schema of the spec in a definition of one version.
func specOf(definition map[string]any) (map[string]any, error) {
	versions, _, err := unstructured.NestedSlice(definition, "spec", "versions")
	if err != nil || len(versions) != 1 {
		return nil, fmt.Errorf("want one version, have %d: %w", len(versions), err)
	}
	at := definition["spec"].(map[string]any)["versions"].([]any)[0]
	for _, key := range []string{"schema", "openAPIV3Schema", "properties", "spec"} {
		node, ok := at.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("there is no schema of the spec: no %s", key)
		}
		at = node[key]
	}
	spec, ok := at.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("there is no schema of the spec")
	}
	return spec, nil
}

// ruleSchema has no type, so that both an object and an encrypted rule, which is
// text, pass; properties are compared only when the rule is an object.
func ruleSchema() (rules.Schema, error) {
	properties, err := rules.Properties()
	return rules.Schema{
		Description: "Settings of the type. Each key says which types have it; others are kept. " +
			"Instead of an object, an armored PGP message that holds one.",
		XPreserveUnknownFields: ptr.To(true),
		Properties:             properties,
		MaxItems:               ptr.To[int64](0), // no list
		Pattern:                armored,
		AllOf:                  rules.Exclusions(),
	}, err
}

// convert gives a value of the API as plain maps and slices.
func convert(from, to any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}
