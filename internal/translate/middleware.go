// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// Middleware translates a Middleware. It shares no memory with m. The type keeps
// the spelling that was written; the rule has its keys in order, so that equal
// rules are equal bytes; it names Secrets as the Middleware does, and their values
// never come into it. A rule that is no JSON, which no API server hands out,
// is left out; Bundle sets such a Middleware aside.
func Middleware(m *v1alpha1.Middleware) *config.Middleware {
	rule, _ := canonicalRule(m.Spec.Rule)
	out := &config.Middleware{
		Name:  m.Name,
		Type:  m.Spec.Type,
		Paths: slices.Clone(m.Spec.Paths),
		Rule:  rule,
	}
	out.Meta.Ref = resolve.MiddlewareRef(m)
	if !m.CreationTimestamp.IsZero() {
		out.Meta.Created = m.CreationTimestamp.UTC()
	}
	return out
}

// middlewareSecrets gives the Secrets that a Middleware names, and finds what keeps
// it from being translated.
func middlewareSecrets(m *v1alpha1.Middleware) ([]resolve.SecretRef, []config.Problem) {
	if _, err := canonicalRule(m.Spec.Rule); err != nil {
		return nil, []config.Problem{{
			Object: resolve.MiddlewareRef(m), Field: "spec.rule", Reason: config.ReasonInvalid,
			Message: "the rule is not JSON",
		}}
	}
	return resolve.MiddlewareSecrets(m)
}

// canonicalRule gives the rule with sorted keys, without spaces, and with its
// numbers as they were written; nil for a rule that is absent or null.
func canonicalRule(rule *apiextensionsv1.JSON) (json.RawMessage, error) {
	if rule == nil || len(bytes.TrimSpace(rule.Raw)) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(rule.Raw))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("more than one value")
	}
	if value == nil {
		return nil, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}
