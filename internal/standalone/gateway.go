// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
)

// errNoGateway is for manifests of which nothing can be run.
var errNoGateway = errors.New("the manifests hold no Gateway; add one with the lines: apiVersion: gateway.jkaninda.dev/v1alpha1, " +
	"kind: Gateway, metadata: {name: gateway}, spec: {}")

// Gateway gives the Gateway of a name, NAME or NAMESPACE/NAME, or the only one
// when the name is empty.
func (o *Objects) Gateway(name string) (*v1alpha1.Gateway, error) {
	if len(o.Gateways) == 0 {
		return nil, errNoGateway
	}
	var found []*v1alpha1.Gateway
	for _, gw := range o.Gateways {
		if name == "" || name == gw.Name || name == gw.Namespace+"/"+gw.Name {
			found = append(found, gw)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, fmt.Errorf("the manifests hold %d Gateways, %s; choose one with --gateway", len(found), names(found))
	}
	return nil, fmt.Errorf("the manifests hold no Gateway %s; there is %s", name, names(o.Gateways))
}

// names lists Gateways, with their namespaces where the names alone do not tell
// them apart.
func names(list []*v1alpha1.Gateway) string {
	var out []string
	for _, gw := range list {
		twice := slices.ContainsFunc(list, func(other *v1alpha1.Gateway) bool {
			return other != gw && other.Name == gw.Name
		})
		if twice {
			out = append(out, gw.Namespace+"/"+gw.Name)
		} else {
			out = append(out, gw.Name)
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
