// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"gateway.jkaninda.dev/goma/internal/operator/stack"
)

// O6: who installs the operator without the verbs escalate and bind lets it hold what it grants, all of it.
func TestAnOperatorWithoutEscalateHoldsWhatItGrants(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../tools/helm/testdata/tenant.golden.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var held []rbacv1.PolicyRule
	for doc := range strings.SplitSeq(string(text), "\n---\n") {
		var role rbacv1.Role
		if err := yaml.Unmarshal([]byte(doc), &role); err != nil {
			t.Fatal(err)
		}
		if role.Kind == "Role" && strings.HasSuffix(role.Name, "-manager-role") {
			held = role.Rules
		}
	}
	if len(held) == 0 {
		t.Fatal("the golden file has no Role of the operator")
	}
	granted := stack.Build(stack.Input{Gateway: acmeGateway(), RouteSecrets: []string{"a"}, Pods: []string{"p"}}).Role.Rules
	if len(granted) < 5 {
		t.Fatalf("granted %v", granted)
	}
	for _, g := range granted {
		for _, resource := range g.Resources {
			for _, verb := range g.Verbs {
				if !slices.ContainsFunc(held, func(h rbacv1.PolicyRule) bool {
					return slices.Contains(h.APIGroups, g.APIGroups[0]) && slices.Contains(h.Resources, resource) && slices.Contains(h.Verbs, verb)
				}) {
					t.Errorf("the operator grants %s %s without holding it", verb, resource)
				}
			}
		}
	}
}
