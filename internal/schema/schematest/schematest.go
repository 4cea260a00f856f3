// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package schematest holds what the definitions of Gateway, Route and Middleware
// must accept and refuse, as one table. It is run against package schema and
// against a real API server, which must agree on every line.
package schematest

import (
	"fmt"
	"regexp"
	"slices"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
)

// Case is one rule of a definition. The specs are YAML in one line.
type Case struct {
	Name, Kind string
	// Accepted is a spec that the rule lets pass.
	Accepted string
	// Refused is a spec that breaks this rule and no other. None when empty.
	Refused string
	// Field is what the refusal names.
	Field string
	// Says is a part of the refusal's message; empty when the field says it all.
	Says string
}

// Cases gives the table.
func Cases() []Case {
	return slices.Concat(gateway(), gatewayServer(), gatewayService(), gatewaySources(), route(), routeBackends(), routeBalancing(), middleware(), rule())
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// ObjectName gives a name for the object of a case.
func (c Case) ObjectName() string {
	name := notInName.ReplaceAllString(c.Name, "-")
	return "c" + name[:min(len(name), 50)] + "z"
}

// Manifest gives the manifest of an object of this API.
func Manifest(kind, name, spec string) string {
	return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: %q}\nspec: %s\n", v1alpha1.GroupVersion, kind, name, spec)
}
