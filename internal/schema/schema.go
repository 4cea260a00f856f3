// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package schema applies the project's CustomResourceDefinitions as the API
// server does, without one: defaults, schema validation and CEL rules, by the
// API server's own libraries.
package schema

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"gateway.jkaninda.dev/goma/deploy/crds"
)

// Validator holds the compiled schemas of all kinds. It is safe for concurrent use.
type Validator struct{ kinds map[string]*kind }

type kind struct {
	structural *schema.Structural
	schema     validation.SchemaValidator
	rules      *cel.Validator
}

// New compiles the embedded definitions. An error is a fault of the build.
func New() (*Validator, error) {
	files, err := fs.Glob(crds.Files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("listing definitions: %w", err)
	}
	v := &Validator{kinds: map[string]*kind{}}
	for _, name := range files {
		text, err := crds.Files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		if err := v.add(text); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return v, nil
}

func (v *Validator) add(text []byte) error {
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(text, &definition); err != nil {
		return fmt.Errorf("parsing: %w", err)
	}
	external := definition.Spec.Versions[0].Schema.OpenAPIV3Schema
	var internal apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(external, &internal, nil); err != nil {
		return fmt.Errorf("converting: %w", err)
	}
	structural, err := schema.NewStructural(&internal)
	if err != nil {
		return fmt.Errorf("making structural: %w", err)
	}
	validator, _, err := validation.NewSchemaValidator(&internal)
	if err != nil {
		return fmt.Errorf("compiling: %w", err)
	}
	v.kinds[definition.Spec.Names.Kind] = &kind{
		structural: structural,
		schema:     validator,
		rules:      cel.NewValidator(structural, true, celconfig.PerCallLimit),
	}
	return nil
}

// Default sets the defaults of an object in place, after dropping nulls, as the
// API server does before it stores. Objects of other kinds stay as they are.
func (v *Validator) Default(object map[string]any) {
	if k := v.kind(object); k != nil {
		defaulting.PruneNonNullableNullsWithoutDefaults(object, k.structural)
		defaulting.Default(object, k.structural)
	}
}

// Unknown drops the fields that the schema does not have and gives their paths.
func (v *Validator) Unknown(object map[string]any) []string {
	k := v.kind(object)
	if k == nil {
		return nil
	}
	return pruning.PruneWithOptions(object, k.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
}

// Validate gives what the API server would refuse, each with the path of its field.
func (v *Validator) Validate(object map[string]any) field.ErrorList {
	k := v.kind(object)
	if k == nil {
		return nil
	}
	problems := validation.ValidateCustomResource(nil, object, k.schema)
	if len(problems) > 0 {
		return problems // CEL rules may rely on the schema
	}
	if problems = listtype.ValidateListSetsAndMaps(nil, k.structural, object); len(problems) > 0 {
		return problems
	}
	problems, _ = k.rules.Validate(context.Background(), nil, k.structural, object, nil, celconfig.RuntimeCELCostBudget)
	return problems
}

func (v *Validator) kind(object map[string]any) *kind {
	name, _ := object["kind"].(string)
	return v.kinds[name]
}

// keys lists the fields that the schema has at a path, such as spec.backends[1];
// nil when the path is not one of objects with fields.
func (k *kind) keys(path string) []string {
	at := k.structural
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' }) {
		if strings.HasSuffix(part, "]") {
			if at = at.Items; at == nil {
				return nil
			}
			continue
		}
		next, ok := at.Properties[part]
		if !ok {
			return nil
		}
		at = &next
	}
	return slices.Sorted(maps.Keys(at.Properties))
}
