// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"strings"
)

// CompareRoutes orders routes as a Bundle lists them: the higher priority first,
// then the older, then by name. It is total over routes with distinct names, so
// the same routes in any order make the same list.
func CompareRoutes(a, b *Route) int {
	return cmp.Or(
		cmp.Compare(b.Priority, a.Priority),
		a.Meta.Created.Compare(b.Meta.Created),
		strings.Compare(a.Name, b.Name),
	)
}

// CompareMiddlewares orders middlewares as a Bundle lists them: by name.
func CompareMiddlewares(a, b *Middleware) int {
	return strings.Compare(a.Name, b.Name)
}
