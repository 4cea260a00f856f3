// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gateway.jkaninda.dev/goma/internal/config"
)

// metadata checks name, labels and annotations, and sets the namespace.
func (c *check) metadata() {
	metadata, ok := c.object["metadata"].(map[string]any)
	if !ok {
		c.report("metadata", config.ReasonInvalid, "an object needs metadata with a name")
		return
	}
	if metadata["namespace"] == nil || metadata["namespace"] == "" {
		metadata["namespace"] = Namespace
		c.ref.Namespace = Namespace
	}
	var typed struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
	}
	err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(map[string]any{"metadata": metadata}, &typed, true)
	if strict, ok := runtime.AsStrictDecodingError(err); ok {
		for _, e := range strict.Errors() {
			name := strings.Trim(strings.TrimPrefix(e.Error(), "unknown field "), `"`)
			c.report(name, config.ReasonUnknownField, "is not a field of metadata")
		}
	} else if err != nil {
		c.report("metadata", config.ReasonInvalid, err.Error())
		return
	}
	if typed.Metadata.Name == "" {
		c.report("metadata.name", config.ReasonInvalid, "an object needs a name")
		return
	}
	problems := apivalidation.ValidateObjectMeta(&typed.Metadata, true, apivalidation.NameIsDNSSubdomain, field.NewPath("metadata"))
	for _, p := range problems {
		c.report(p.Field, config.ReasonInvalid, p.Detail)
	}
}

// values checks a Secret or a ConfigMap. No message repeats a value.
func (c *check) values() {
	encoded := map[string]string{"Secret": "data", "ConfigMap": "binaryData"}[c.ref.Kind]
	plain := map[string]string{"Secret": "stringData", "ConfigMap": "data"}[c.ref.Kind]
	known := []string{"apiVersion", "kind", "metadata", "immutable", encoded, plain}
	if c.ref.Kind == "Secret" {
		known = append(known, "type")
	}
	for _, key := range slices.Sorted(maps.Keys(c.object)) {
		if !slices.Contains(known, key) {
			c.report(key, config.ReasonUnknownField, "is not a field of "+c.ref.Kind+meant(key, slices.Clone(known)))
		}
	}
	keys := append(c.texts(encoded, true), c.texts(plain, false)...)
	if c.object["type"] == string(corev1.SecretTypeTLS) {
		for _, key := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
			if !slices.Contains(keys, key) {
				c.report(encoded, config.ReasonInvalid, fmt.Sprintf("a Secret of type %s needs %s", corev1.SecretTypeTLS, key))
			}
		}
	}
}

// texts checks a map of keys to text, and gives its keys.
func (c *check) texts(name string, encoded bool) []string {
	if c.object[name] == nil {
		return nil
	}
	table, ok := c.object[name].(map[string]any)
	if !ok {
		c.report(name, config.ReasonInvalid, "must be an object of keys and text")
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(table)) {
		at := name + "." + key
		for _, wrong := range validation.IsConfigMapKey(key) {
			c.report(at, config.ReasonInvalid, wrong)
		}
		text, ok := table[key].(string)
		if !ok && table[key] != nil {
			c.report(at, config.ReasonInvalid, "must be text: put it in quotes")
			continue
		}
		if _, err := base64.StdEncoding.DecodeString(text); encoded && err != nil {
			c.report(at, config.ReasonInvalid, "must be base64; stringData takes plain text")
		}
	}
	return slices.Collect(maps.Keys(table))
}
