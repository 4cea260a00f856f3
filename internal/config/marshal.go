// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"fmt"

	"github.com/goccy/go-yaml"
)

// MarshalFile writes a File as YAML, keys in the order of the documentation.
// Secrets are written as *** unless they are references such as ${NAME}, so what
// it writes may be shown. Equal files give equal bytes.
func MarshalFile(f *File) ([]byte, error) { return marshal("file", f) }

// MarshalBundle writes a Bundle as YAML, by the rules of MarshalFile.
func MarshalBundle(b *Bundle) ([]byte, error) { return marshal("bundle", b) }

func marshal(what string, v any) ([]byte, error) {
	asJSON, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", what, err)
	}
	asYAML, err := yaml.JSONToYAML(asJSON)
	if err != nil {
		return nil, fmt.Errorf("writing %s as YAML: %w", what, err)
	}
	return asYAML, nil
}
