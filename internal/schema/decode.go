// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// Decode reads one manifest in YAML or JSON. A key that stands twice is an
// error, and whole numbers are int64, as the schemas expect.
func Decode(text []byte) (map[string]any, error) {
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, fmt.Errorf("parsing manifest: %w", err)
	}
	object := map[string]any{}
	if err := json.Unmarshal(asJSON, &object); err != nil {
		return nil, fmt.Errorf("a manifest is an object: %w", err)
	}
	return object, nil
}
