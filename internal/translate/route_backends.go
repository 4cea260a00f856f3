// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"strings"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
)

// backends translates the list of backends in its order.
func backends(list []v1alpha1.Backend) []config.Backend {
	var out []config.Backend
	for _, b := range list {
		next := config.Backend{
			Endpoint:  endpoint(b.Endpoint),
			Weight:    b.Weight,
			Exclusive: b.Exclusive,
			Priority:  b.Priority,
		}
		for _, m := range b.Match {
			next.Match = append(next.Match, config.BackendMatch(m))
		}
		out = append(out, next)
	}
	return out
}

// endpoint gives a URL without the slashes at its end. People write
// http://host:8080/ and mean http://host:8080; the request's path follows, and
// begins with a slash of its own.
func endpoint(url string) string {
	trimmed := strings.TrimRight(url, "/")
	if _, host, ok := strings.Cut(trimmed, "://"); !ok || host == "" || strings.ContainsAny(url, "?#") {
		return url
	}
	return trimmed
}
