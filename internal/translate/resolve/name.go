// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"path/filepath"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
)

// Source is what the ObjectRef of a custom resource says.
const Source = "kubernetes"

// ValidName tells whether an object can have this name: a DNS subdomain, so
// neither empty, nor a path, nor one with a namespace in front.
func ValidName(name string) bool {
	return len(validation.IsDNS1123Subdomain(name)) == 0
}

// Attached tells whether a Route belongs to a Gateway: it names it, and both
// live in one namespace.
func Attached(r *v1alpha1.Route, gateway types.NamespacedName) bool {
	return r.Namespace == gateway.Namespace && slices.Contains(r.Spec.Gateways, gateway.Name)
}

// RouteRef names a Route in problems.
func RouteRef(r *v1alpha1.Route) config.ObjectRef {
	return config.ObjectRef{Kind: "Route", Namespace: r.Namespace, Name: r.Name, Source: Source}
}

// MiddlewareRef names a Middleware in problems.
func MiddlewareRef(m *v1alpha1.Middleware) config.ObjectRef {
	return config.ObjectRef{Kind: "Middleware", Namespace: m.Namespace, Name: m.Name, Source: Source}
}

// GatewayRef names a Gateway in problems.
func GatewayRef(g types.NamespacedName) config.ObjectRef {
	return config.ObjectRef{Kind: "Gateway", Namespace: g.Namespace, Name: g.Name, Source: Source}
}

// SecretFile gives where below dir the key of a Secret is found. A name that no
// Secret can have gives a path below dir at which nothing ever is.
func SecretFile(dir, secret, key string) string {
	if !ValidName(secret) {
		secret = "!" // no name of a Secret, and no way out of dir
	}
	return filepath.Join(dir, secret, key)
}
