// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package rules_test

import (
	"slices"
	"testing"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware"
	"gateway.jkaninda.dev/goma/internal/schema/rules"
)

// What the definition admits, translation finds and the gateway fills in is one list.
func TestTheGatewayFillsInWhatTheDefinitionAdmits(t *testing.T) { // T1, O7
	t.Parallel()
	fields := 0
	for _, name := range rules.Names() {
		kind, ok := middleware.Lookup(name)
		if !ok {
			t.Errorf("the gateway has no type %s", name)
			continue
		}
		filled := slices.Sorted(slices.Values(kind.Secrets))
		if got := slices.Sorted(slices.Values(rules.Secrets(name))); !slices.Equal(got, filled) {
			t.Errorf("%s: the definition has Secrets for %v, the gateway for %v", name, got, filled)
		}
		fields += len(filled)
	}
	if fields < 10 {
		t.Errorf("only %d fields", fields)
	}
}
