// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"strings"
	"text/tabwriter"

	"gateway.jkaninda.dev/goma/internal/gateway"
)

// tableOf lists the routes, a line each, in the order of the configuration.
func tableOf(routes []gateway.AppliedRoute) string {
	if len(routes) == 0 {
		return "No route is served yet.\n"
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	row := func(cells ...string) { _, _ = w.Write([]byte(strings.Join(cells, "\t") + "\n")) }
	row("ROUTE", "HOSTS", "PATH", "METHODS", "MIDDLEWARES", "BACKENDS")
	for _, r := range routes {
		backends := some(r.Backends, "-")
		if r.Fault != "" {
			backends = "503: " + oneLine(r.Fault)
		}
		row(r.Name, some(r.Hosts, "*"), r.Path, some(r.Methods, "*"), some(r.Middlewares, "-"), backends)
	}
	_ = w.Flush()
	return b.String()
}

// some joins a list, which may be long.
func some(list []string, none string) string {
	const most = 3
	switch {
	case len(list) == 0:
		return none
	case len(list) > most:
		return strings.Join(list[:most], ", ") + ", …"
	}
	return strings.Join(list, ", ")
}

// oneLine keeps a text from breaking the table.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
